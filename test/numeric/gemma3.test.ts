/** @file Gemma-3 text models, against transformers (test/fixtures/tiny-gemma3) and against a plain float64 reference. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { captureRun } from "./capture-run.js";
import { computeScores } from "./score-by-name.js";
import { spliceModel, type SplicedModel } from "../../src/passes/spliced-model.js";
import { computeTruth } from "../../src/experiments/truth/truth.js";
import type { Node } from "../../src/nodes/node.js";
import type { Prompt } from "../../src/nodes/prompt.js";
import { saeSites, siteHook } from "../../src/nodes/site.js";
import { loadAnswers } from "../../src/model/metric.js";
import { withScope } from "../../src/model/tensor-scope.js";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { openModel } from "./open-model.js";
import { plainLogits, plainRelp, readPlainGemma } from "./plain-gemma.js";
import { TEST_BACKEND } from "./test-backend.js";

const FOLDER = fileURLToPath(new URL("../fixtures/tiny-gemma3", import.meta.url));
const [P, T, V] = [3, 9, 71];

describe("a Gemma-3 text model", () => {
  let expected: (name: string) => Float64Array;
  let prompts: Prompt[];
  let spliced: SplicedModel;
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
    const { arrays } = await readSafetensorsFile(`${FOLDER}/expected.safetensors`);
    expected = (name) => Float64Array.from(must(arrays.get(name), name).values as ArrayLike<number | bigint>, Number);
    const ids = (name: string, p: number): number[] => [...expected(name).subarray(p * T, p * T + T)];
    prompts = Array.from({ length: P }, (_, p) => ({
      line: p + 1,
      clean: ids("tokens_clean", p),
      corrupted: ids("tokens_corrupted", p),
      correct: must(expected("answers")[2 * p], "correct"),
      incorrect: [must(expected("answers")[2 * p + 1], "incorrect")],
    }));
    spliced = spliceModel(await openModel(FOLDER), []);
  });
  afterAll(() => {
    spliced.dispose();
  });

  it("reads its options from the config", () => {
    expect(spliced.model.config).toMatchObject({
      layerTypes: ["sliding", "sliding", "full", "sliding"],
      positions: { ropes: { sliding: { theta: 300, factor: 1 }, full: { theta: 50_000, factor: 4 } } },
      queryKeyNorm: true,
      attnSoftcap: null,
      finalSoftcap: null,
    });
  });

  it("has the site activations and metrics of transformers", async () => {
    await withScope(async (own) => {
      const answers = own(await loadAnswers(spliced.model.embedding, prompts, "max"));
      const run = own(await captureRun(spliced.model, prompts, "clean", answers));
      for (const at of saeSites(4))
        expect(await run.site(at).data(), siteHook(at)).toBeAllclose(expected(`act.${siteHook(at)}`));
      expect(run.metric).toBeAllclose(expected("metric_clean"));
      const corrupted = own(await captureRun(spliced.model, prompts, "corrupted", answers));
      expect(corrupted.metric).toBeAllclose(expected("metric_corrupted"));
    });
  });

  it("has the AtP of transformers' autograd", async () => {
    const { site: sites } = await computeScores(spliced, prompts, "max", { name: "atp", method: "atp" });
    expect(sites.size).toBe(12);
    for (const [hook, scores] of sites) expect(scores, hook).toBeAllclose(expected(`atp.${hook}`), { rtol: 3e-4 });
  });

  it("has the true effects of patching in transformers", async () => {
    const nodes: Node[] = saeSites(4).flatMap((at) =>
      Array.from({ length: T }, (_, position) => ({ ...at, kind: "site" as const, position })),
    );
    const { metricPatched, metricClean } = await computeTruth(spliced, prompts, "max", nodes, 50);
    for (const [i, at] of saeSites(4).entries()) {
      const effects = Array.from({ length: P * T }, (_, row) => {
        const p = Math.floor(row / T);
        const patched = metricPatched[p * nodes.length + i * T + (row % T)];
        return must(patched, "metric") - must(metricClean[p], "metric");
      });
      expect(effects, siteHook(at)).toBeAllclose(expected(`effect.${siteHook(at)}`), { rtol: 3e-4 });
    }
  });

  it("has the RelP of the float64 reference, which has the logits of transformers", async () => {
    const plain = await readPlainGemma(FOLDER);
    const { site: sites } = await computeScores(spliced, prompts, "max", { name: "relp", method: "relp" });
    for (const [p, prompt] of prompts.entries()) {
      const logits = expected("logits").subarray((p * T + T - 1) * V, (p + 1) * T * V);
      expect(plainLogits(plain, prompt.clean)).toBeAllclose(logits);
      for (const [hook, scores] of plainRelp(plain, prompt))
        expect(must(sites.get(hook), hook).subarray(p * T, p * T + T), hook).toBeAllclose(scores, { rtol: 3e-4 });
    }
  });
});
