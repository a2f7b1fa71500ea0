/**
 * @file The pretrained Gemma 3 270M against transformers: tokens, logits, activations, scores, true effects.
 *
 * Not part of `npm test`: it needs the weights (1.1 GB, Gemma terms of use). `node bin/patchbay.js fetch gemma-3-270m` gets them, then
 * `npm run test:gemma3` runs this file; PATCHBAY_GEMMA3 names another folder. Every array agrees within 1e-3 of its
 * largest magnitude; the largest disagreement of each kind is printed.
 */
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { captureRun } from "../numeric/capture-run.js";
import { computeScores } from "../numeric/score-by-name.js";
import { spliceModel, type SplicedModel } from "../../src/passes/spliced-model.js";
import { computeTruth } from "../../src/experiments/truth/truth.js";
import type { Node } from "../../src/nodes/node.js";
import type { Prompt } from "../../src/nodes/prompt.js";
import { saeSites, siteHook } from "../../src/nodes/site.js";
import { readDataset } from "../../src/prompts/rows.js";
import { AUTODIFF_RULES } from "../../src/model/backward-rules.js";
import { loadAnswers } from "../../src/model/metric.js";
import { loadModel } from "../../src/model/model.js";
import { withScope } from "../../src/model/tensor-scope.js";
import { lastRows, unembed } from "../../src/model/unembedding.js";
import { toPrompts } from "../../src/prompts/prompts.js";
import { tensorsOf } from "../../src/families/family.js";
import { GEMMA3 } from "../../src/families/gemma3.js";
import { openTokenizer } from "../../src/prompts/tokenizer.js";
import { ENGLISH_LEXICON } from "../../tools/tiny-world/english-words.js";
import { openCheckpoint, type Checkpoint } from "../../src/weights/checkpoint.js";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { largestDifference, largestMagnitude } from "../numeric/matchers.js";
import { TEST_BACKEND } from "../numeric/test-backend.js";

const FIXTURE = fileURLToPath(new URL("../fixtures/gemma3-270m", import.meta.url));
const MODEL = process.env["PATCHBAY_GEMMA3"] ?? fileURLToPath(new URL("../../.cache/gemma-3-270m", import.meta.url));
const RTOL = 1e-3;
const T = 7;
const L = 18;
/** Embedding rows that are unembedded at a time. */
const ROWS = 16_384;

describe("Gemma 3 270M", () => {
  let expected: (name: string) => Float64Array;
  let prompts: Prompt[];
  let checkpoint: Checkpoint;
  let spliced: SplicedModel;
  const worst = new Map<string, { readonly of: number; readonly where: string }>();

  /** Compares, and remembers the largest disagreement of each kind, relative to the array's largest magnitude. */
  const compare = (kind: string, where: string, actual: ArrayLike<number>, name: string): void => {
    const of = largestDifference(actual, expected(name)).value / largestMagnitude(expected(name));
    if (!(of <= (worst.get(kind)?.of ?? -1))) worst.set(kind, { of, where });
    expect(actual, name).toBeAllclose(expected(name), { rtol: RTOL, atol: 0 });
  };

  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
    const { arrays } = await readSafetensorsFile(`${FIXTURE}/expected.safetensors`);
    expected = (name) => Float64Array.from(must(arrays.get(name), name).values as ArrayLike<number | bigint>, Number);
    checkpoint = await openCheckpoint(MODEL);
    ({ prompts } = toPrompts(readDataset(`${FIXTURE}/pairs.jsonl`), openTokenizer(MODEL, GEMMA3.bos)));
    spliced = spliceModel(await loadModel(checkpoint), []);
  });
  afterAll(async () => {
    for (const [kind, { of, where }] of worst) console.log(`${kind}: within ${of.toExponential(1)} (${where})`);
    spliced.dispose();
    await checkpoint.close();
  });

  it("has the sizes of the published model", () => {
    expect(checkpoint.config).toMatchObject({ nLayers: L, dModel: 640, nHeads: 4, nKvHeads: 1, headDim: 256 });
    expect(checkpoint.config).toMatchObject({ dMlp: 2048, vocabSize: 262_144, slidingWindow: 512 });
    expect(checkpoint.config.layerTypes.flatMap((type, i) => (type === "full" ? [i] : []))).toEqual([5, 11, 17]);
  });

  it("tokenises as transformers does", () => {
    expect(openTokenizer(MODEL, GEMMA3.bos).encode("The teachers that the senator hates")).toEqual([
      2, 818, 10411, 600, 506, 63212, 87566,
    ]);
    expect(prompts).toHaveLength(24);
    expect(prompts.flatMap(({ clean }) => clean)).toEqual([...expected("tokens_clean")]);
    expect(prompts.flatMap(({ corrupted }) => corrupted ?? [])).toEqual([...expected("tokens_corrupted")]);
  });

  it("has one token for each word of data/english-agreement, and 7 for each rc prompt", () => {
    const tokenizer = openTokenizer(MODEL, GEMMA3.bos);
    const { nouns, clauseVerbs, innerVerbs, prepositions } = ENGLISH_LEXICON;
    const forms = [...nouns, ...clauseVerbs, ...innerVerbs].flatMap(({ singular, plural }) => [singular, plural]);
    for (const word of [...forms, ...prepositions]) expect(tokenizer.encode(` ${word}`), word).toHaveLength(2);
    const path = fileURLToPath(new URL("../../data/english-agreement/rc.test.jsonl", import.meta.url));
    const { prompts: pairs, dropped } = toPrompts(readDataset(path), tokenizer);
    expect(dropped).toEqual([]);
    for (const { clean, corrupted } of pairs) {
      expect([clean[0], clean.length, corrupted?.length]).toEqual([tokenizer.start[0], T, T]);
    }
  });

  it("has the activations, metrics and logits of transformers", async () => {
    await withScope(async (own) => {
      const answers = own(await loadAnswers(spliced.model.embedding, prompts, "max"));
      const clean = own(await captureRun(spliced.model, prompts, "clean", answers));
      compare("metric", "clean", clean.metric, "metric_clean");
      compare(
        "metric",
        "corrupted",
        own(await captureRun(spliced.model, prompts, "corrupted", answers)).metric,
        "metric_corrupted",
      );
      for (const at of saeSites(L).filter(({ layer }) => [0, 5, 8, 17].includes(layer))) {
        const hook = siteHook(at);
        const first = own(tf.slice(clean.site(at), [0, 0], [2 * T, must(clean.site(at).shape[1], "width")]));
        compare("activation", hook, await first.data(), `act.${hook}`);
      }
      const rows = own(lastRows(own(tf.slice(clean.input(L), [0, 0], [2 * T, 640])), 2));
      compare("logits", "first two prompts", await allLogits(rows), "logits_last_clean_4");
    });
  });

  /** Logits of every token for two rows, `[2, V]` flat. */
  async function allLogits(rows: tf.Tensor): Promise<Float32Array> {
    const { config, finalGain_D } = spliced.model;
    const logits = new Float32Array(2 * config.vocabSize);
    for (let first = 0; first < config.vocabSize; first += ROWS) {
      const ids = Int32Array.from({ length: Math.min(ROWS, config.vocabSize - first) }, (_, i) => first + i);
      const table = await checkpoint.readRows(tensorsOf(config).embedding.name, ids);
      const part = tf.tidy(() => {
        const unembed_DA = tf.transpose(tf.tensor2d(table, [ids.length, config.dModel]));
        return unembed(config, finalGain_D, rows, unembed_DA, AUTODIFF_RULES);
      });
      const values = await part.data();
      for (const row of [0, 1])
        logits.set(values.subarray(row * ids.length, (row + 1) * ids.length), row * config.vocabSize + first);
      part.dispose();
    }
    return logits;
  }

  it.each([
    ["atp", 24],
    ["relp", 8],
  ] as const)("has the %s scores of every site and position", async (method, count) => {
    const { site: sites } = await computeScores(spliced, prompts.slice(0, count), "max", { name: method, method });
    expect(sites.size).toBe(3 * L);
    for (const [hook, scores] of sites) compare(method, hook, scores, `${method}.${hook}`);
  });

  it("has the true effect of every site and position", async () => {
    const nodes: Node[] = saeSites(L).flatMap((at) =>
      Array.from({ length: T }, (_, position) => ({ ...at, kind: "site" as const, position })),
    );
    const { metricPatched, metricClean } = await computeTruth(spliced, prompts.slice(0, 8), "max", nodes, 256);
    for (const [i, at] of saeSites(L).entries()) {
      const effects = Float64Array.from({ length: 8 * T }, (_, row) => {
        const p = Math.floor(row / T);
        const patched = metricPatched[p * nodes.length + i * T + (row % T)];
        return must(patched, "metric") - must(metricClean[p], "metric");
      });
      compare("effect", siteHook(at), effects, `effect.${siteHook(at)}`);
    }
  });
});
