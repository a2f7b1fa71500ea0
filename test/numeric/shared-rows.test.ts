import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { createRng } from "../../src/base/rng.js";
import { type Prompt, SIDES } from "../../src/nodes/prompt.js";
import { SAE_SITES } from "../../src/nodes/site.js";
import { loadAnswers } from "../../src/model/metric.js";
import { captureRuns, type Run } from "../../src/passes/capture.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { computeMeans } from "../../src/experiments/means/means.js";
import { computeScores } from "../../src/experiments/scores/scores.js";
import type { ScoresResult } from "../../src/artifacts/scores-payload.js";
import type { MeansResult } from "../../src/artifacts/means-payload.js";
import { goldenSpliced } from "./golden.js";
import { countKernels } from "./kernel-counts.js";
import { wayOf } from "./score-by-name.js";
import { sharedPrompts, sharedSpanPrompts } from "./shared-prompts.js";
import { expectSameInAnyBlock, TEST_BACKEND } from "./test-backend.js";

let spliced: SplicedModel;
beforeAll(async () => {
  spliced = await goldenSpliced();
});
afterAll(() => {
  spliced.dispose();
});

const KINDS: readonly (readonly [string, readonly Prompt[]])[] = [
  ["pairs", sharedPrompts(createRng(1, "pairs"), 12, 5)],
  ["a plain dataset", sharedPrompts(createRng(2, "plain"), 12, 5, false)],
  ["pairs whose sides differ in length", sharedSpanPrompts(createRng(3, "spans"), 12)],
];

/** Counts what a program asks of the backend, and gives its result. */
async function counted<Result>(program: () => Promise<Result>): Promise<{ result: Result; flops: number }> {
  let result: Result | undefined;
  const { flops } = await countKernels(async () => (result = await program()));
  return { result: must(result, "result"), flops };
}

describe("rows that the same tokens lead to", () => {
  it.each(KINDS)("give the means of %s that each row by itself gives, for less work", async (_, prompts) => {
    const means = (share: boolean): Promise<MeansResult> =>
      computeMeans(spliced, prompts, "max", { neurons: true, sites: true, share });
    const [once, apart] = [await counted(() => means(true)), await counted(() => means(false))];
    expect(once.flops).toBeLessThan(0.8 * apart.flops);
    expectSameInAnyBlock(once.result.metricClean, apart.result.metricClean);
    expectSameInAnyBlock(once.result.metricCorrupted ?? [], apart.result.metricCorrupted ?? []);
    for (const name of ["errors", "sites"] as const) {
      expect([...once.result[name].keys()]).toEqual([...apart.result[name].keys()]);
      for (const [hook, sums] of once.result[name])
        expectSameInAnyBlock(sums, must(apart.result[name].get(hook), hook));
    }
    for (const [hook, { index, sum, differs }] of once.result.features) {
      const other = must(apart.result.features.get(hook), hook);
      expect(index).toEqual(other.index);
      expectSameInAnyBlock(sum, other.sum);
      if (TEST_BACKEND === "wasm") expect(differs).toEqual(other.differs);
    }
  });

  it.each(KINDS)("give the runs of %s that each row by itself gives, and their products", async (_, prompts) => {
    const sides = SIDES.slice(0, must(prompts[0], "prompt").corrupted === null ? 1 : 2);
    const answers = await loadAnswers(spliced.model.embedding, prompts, "max");
    const capture = (share: boolean): Promise<Run[]> =>
      captureRuns(spliced.model, prompts, sides, answers, { backward: "clean", share });
    const before = tf.memory().numTensors;
    const [once, apart] = [await counted(() => capture(true)), await counted(() => capture(false))];
    expect(once.flops).toBeLessThan(0.8 * apart.flops);
    for (const [i, run] of once.result.entries()) {
      const other = must(apart.result[i], "run");
      expect(run.side).toBe(other.side);
      expectSameInAnyBlock(run.logits, other.logits);
      for (let layer = 0; layer < spliced.model.config.nLayers; layer++) {
        expectSameInAnyBlock(await run.input(layer).data(), await other.input(layer).data());
        for (const site of SAE_SITES) {
          const [own, expected] = [run.site({ site, layer }), other.site({ site, layer })];
          expectSameInAnyBlock(await own.data(), await expected.data());
        }
      }
    }
    for (const run of [...once.result, ...apart.result]) run.dispose();
    expect(tf.memory().numTensors).toBe(before);
    answers.dispose();
  });

  it.each(KINDS.slice(0, 2))("give the scores of %s that each row by itself gives", async (_, prompts) => {
    const isPlain = must(prompts[0], "prompt").corrupted === null;
    for (const method of isPlain ? ["zero"] : ["atp", "ig", "relp"]) {
      const way = wayOf({ name: method, method, steps: 2, neurons: true });
      const scores = (share: boolean): Promise<ScoresResult> =>
        computeScores(spliced, prompts, { reduce: "max", share, ...way });
      const [once, apart] = [await counted(() => scores(true)), await counted(() => scores(false))];
      expect(once.flops).toBeLessThan(apart.flops);
      if (TEST_BACKEND === "wasm") expect(once.result).toEqual(apart.result);
    }
  });

  it("are computed by themselves where few are equal", async () => {
    const prompts = sharedPrompts(createRng(4, "few"), 2, 8, false).map((prompt, i) => ({
      ...prompt,
      clean: prompt.clean.map((token) => token + i),
    }));
    const [once, apart] = [
      await counted(() => computeMeans(spliced, prompts, "max")),
      await counted(() => computeMeans(spliced, prompts, "max", { share: false })),
    ];
    expect(once.flops).toBe(apart.flops);
  });
});
