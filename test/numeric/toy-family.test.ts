/** @file A family that only this test defines: it opens, computes and is patched as the plain float64 reference says. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { matricesFor } from "../../src/backends/torch-matrices.js";
import { computeScores } from "./score-by-name.js";
import { spliceModel, type SplicedModel } from "../../src/passes/spliced-model.js";
import { computeTruth } from "../../src/experiments/truth/truth.js";
import { afterAttentionWork } from "../../src/cost/layer-work.js";
import { Work } from "../../src/cost/work.js";
import { MODEL_FAMILIES } from "../../src/families/registry.js";
import { AUTODIFF_RULES } from "../../src/model/backward-rules.js";
import { forward } from "../../src/model/forward.js";
import { loadModel } from "../../src/model/model.js";
import { unembed } from "../../src/model/unembedding.js";
import type { Prompt } from "../../src/nodes/prompt.js";
import { saeSites, siteHook } from "../../src/nodes/site.js";
import { type Checkpoint, openCheckpoint } from "../../src/weights/checkpoint.js";
import { TOY, writeToyCheckpoint } from "../unit/families/toy-family.js";
import { type PlainGemma, plainLogits, plainRelp, type Rows, rowsOf } from "./plain-gemma.js";
import { TEST_BACKEND } from "./test-backend.js";

/** Names of the reference's parts in the toy's files. */
const TOY_PARTS: Readonly<Record<string, string>> = {
  input_layernorm: "norm1",
  "self_attn.q_proj": "q",
  "self_attn.k_proj": "k",
  "self_attn.v_proj": "v",
  "self_attn.o_proj": "o",
  pre_feedforward_layernorm: "norm2",
  "mlp.gate_proj": "in_gate",
  "mlp.up_proj": "in",
  "mlp.down_proj": "out",
};

function toyName(name: string): string {
  if (name === "model.embed_tokens.weight") return "toy.wte";
  if (name === "model.norm.weight") return "toy.norm";
  const [, layer, part] = must(/^model\.layers\.(\d+)\.(.*)\.weight$/.exec(name), name);
  return `toy.h${String(layer)}.${must(TOY_PARTS[String(part)], name)}`;
}

const PROMPTS: Prompt[] = [
  { line: 1, clean: [3, 14, 15, 9, 26], corrupted: [3, 14, 35, 9, 26], correct: 7, incorrect: [8] },
  { line: 2, clean: [27, 18, 28, 18, 2], corrupted: [27, 11, 28, 18, 2], correct: 40, incorrect: [41] },
];
const T = 5;

describe("a family that no file of src/ names", () => {
  const folder = mkdtempSync(join(tmpdir(), "patchbay-toy-"));
  let checkpoint: Checkpoint;
  let spliced: SplicedModel;
  let plain: PlainGemma;
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
    const rows = rowsOf(writeToyCheckpoint(folder));
    checkpoint = await openCheckpoint(folder, { ...MODEL_FAMILIES, toy: TOY });
    spliced = spliceModel(await loadModel(checkpoint, matricesFor("float32")), []);
    plain = {
      tensor: (name) => rows(toyName(name)),
      settings: {
        layers: 3,
        heads: 3,
        kvHeads: 3,
        headDim: 8,
        scalar: 8,
        eps: 1e-5,
        window: 32,
        attentionCap: null,
        finalCap: null,
        queryKeyNorms: false,
        postNorms: false,
        gainOffset: 0,
        embeddingFactor: 1,
        slides: () => false,
        rope: () => [500, 1],
      },
    };
  });
  afterAll(async () => {
    spliced.dispose();
    await checkpoint.close();
    rmSync(folder, { recursive: true });
  });

  it("has the reference's logits of the whole vocabulary", async () => {
    const { config, embedding, finalGain_D } = spliced.model;
    const rows = await embedding.rows(Array.from({ length: config.vocabSize }, (_, id) => id));
    const resid_RD = await forward(
      spliced.model,
      PROMPTS.map(({ clean }) => clean),
    );
    const logits = tf.tidy(() => {
      const unembed_DV = tf.transpose(tf.tensor2d(rows, [config.vocabSize, config.dModel]));
      return unembed(config, finalGain_D, resid_RD, unembed_DV, AUTODIFF_RULES);
    });
    const values = (await logits.data()) as Float32Array;
    for (const [p, { clean }] of PROMPTS.entries()) {
      const last = (p * T + T - 1) * config.vocabSize;
      expect(values.subarray(last, last + config.vocabSize)).toBeAllclose(plainLogits(plain, clean));
    }
    tf.dispose([resid_RD, logits]);
  });

  it("has the reference's RelP of every site and position", async () => {
    const { site: sites } = await computeScores(spliced, PROMPTS, "max", { name: "relp", method: "relp" });
    for (const [p, prompt] of PROMPTS.entries())
      for (const [hook, scores] of plainRelp(plain, prompt))
        expect(must(sites.get(hook), hook).subarray(p * T, p * T + T), hook).toBeAllclose(scores, { rtol: 3e-4 });
  });

  it("has the reference's true effects of patching every site at the answer position", async () => {
    const nodes = saeSites(3).map((at) => ({ ...at, kind: "site" as const, position: T - 1 }));
    const { metricPatched } = await computeTruth(spliced, PROMPTS, "max", nodes, 8);
    for (const [p, prompt] of PROMPTS.entries()) {
      const donors = new Map<string, Rows>();
      plainLogits(plain, must(prompt.corrupted, "pair"), {
        hook: (site, layer, x) => {
          donors.set(siteHook({ site, layer }), x);
          return x;
        },
      });
      const expected = nodes.map((node) => {
        const logits = plainLogits(plain, prompt.clean, {
          hook: (site, layer, x) =>
            siteHook({ site, layer }) === siteHook(node)
              ? [...x.slice(0, -1), must(donors.get(siteHook(node))?.at(-1), "donor")]
              : x,
        });
        return must(logits[must(prompt.incorrect[0], "answer")], "logit") - must(logits[prompt.correct], "logit");
      });
      expect(metricPatched.subarray(p * nodes.length, (p + 1) * nodes.length)).toBeAllclose(expected, { rtol: 1e-4 });
    }
  });

  it("is priced without the norms that it lacks", () => {
    const callsOf = (postNorms: boolean): number => {
      const work = new Work({ valueBytes: 4, ownKernels: true });
      afterAttentionWork(work, { ...checkpoint.config, postNorms }, 10);
      return work.calls;
    };
    expect(callsOf(true) - callsOf(false)).toBe(2);
  });
});
