import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { createRng, type Rng } from "../../src/base/rng.js";
import { ABLATED, LIVE, RESTORED, type Intervention, type SiteIntervention } from "../../src/nodes/intervention.js";
import { type Prompt, SIDES } from "../../src/nodes/prompt.js";
import { SAE_SITES, siteHook } from "../../src/nodes/site.js";
import { loadAnswers } from "../../src/model/metric.js";
import { captureRuns, type Run } from "../../src/passes/capture.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { computeMeans } from "../../src/experiments/means/means.js";
import { type AblationValues, computeCircuits } from "../../src/experiments/circuits/circuits.js";
import type { Means } from "../../src/artifacts/means-file.js";
import { computeScores } from "../../src/experiments/scores/scores.js";
import type { ScoresResult } from "../../src/artifacts/scores-payload.js";
import type { MeansResult } from "../../src/artifacts/means-payload.js";
import { goldenSpliced } from "./golden.js";
import { GOLDEN_SITES, GOLDEN_WIDTH as F } from "./golden-sites.js";
import { countKernels } from "./kernel-counts.js";
import { withRandomFits } from "./random-fits.js";
import { wayOf } from "./score-by-name.js";
import { sharedPrompts, sharedSpanPrompts } from "./shared-prompts.js";
import { expectSameInAnyBlock, TEST_BACKEND } from "./test-backend.js";

let spliced: SplicedModel;
beforeAll(async () => {
  ({ spliced } = await withRandomFits(await goldenSpliced(), 0.2));
});
afterAll(() => {
  spliced.dispose();
});

const KINDS: readonly (readonly [string, readonly Prompt[]])[] = [
  ["pairs", sharedPrompts(createRng(1, "pairs"), 12, 5)],
  ["a plain dataset", sharedPrompts(createRng(2, "plain"), 12, 5, false)],
  ["pairs whose sides differ in length", sharedSpanPrompts(createRng(3, "spans"), 12)],
];

const LENGTH = 5;

/** Random states from a position on, some of them restored, and of parts of errors where they are split. */
function randomIntervention(rng: Rng, first: number, isSplit: boolean): Intervention {
  const states = (width: number): Uint8Array =>
    Uint8Array.from({ length: LENGTH * width }, (_, i) =>
      i < first * width ? LIVE : must([LIVE, LIVE, ABLATED, RESTORED][rng.int(4)], "state"),
    );
  const slices = new Uint8Array(0);
  return new Map(
    GOLDEN_SITES.map((at): [string, SiteIntervention] => {
      const whole = { features: states(F), errors: states(1), slices };
      const split = { errors: new Uint8Array(LENGTH), linear: states(1), nonlinear: states(1) };
      return [siteHook(at), isSplit ? { ...whole, ...split } : whole];
    }),
  );
}

/** Means of every site. */
function someMeans(rng: Rng): Means {
  const array = (size: number): Float32Array => Float32Array.from({ length: size }, () => Math.abs(0.3 * rng.normal()));
  const widths = new Map(spliced.saes.map(({ site, layer, sae }) => [siteHook({ site, layer }), sae.now().dIn]));
  return {
    features: new Map(Array.from(widths.keys(), (hook) => [hook, array(LENGTH * F)])),
    errors: new Map(Array.from(widths, ([hook, D]) => [hook, array(LENGTH * D)])),
    sites: new Map(),
  };
}

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

  it.each(["mean", "zero", "resample"] as const)(
    "give the circuits that each row by itself gives, ablated to %s, from any position, in blocks that cut evaluations",
    async (kind) => {
      const rng = createRng(5, kind);
      const prompts = sharedPrompts(rng, 12, LENGTH);
      const ablation: AblationValues =
        kind === "mean"
          ? { kind, means: someMeans(rng) }
          : kind === "zero"
            ? { kind }
            : { kind, donors: sharedPrompts(rng, 12, LENGTH) };
      const interventions = [0, 0, 2, LENGTH - 1].flatMap((first, i) => [
        randomIntervention(rng, first, i % 2 === 1),
        new Map(),
      ]);
      for (const rowsPerBlock of [1000, 55, 15]) {
        const circuits = async (share: boolean): Promise<Float64Array> =>
          (await computeCircuits(spliced, prompts, { reduce: "max", interventions, ablation, rowsPerBlock, share }))
            .metric;
        const [once, apart] = [await counted(() => circuits(true)), await counted(() => circuits(false))];
        expect(once.flops).toBeLessThan((kind === "resample" ? 1 : 0.9) * apart.flops);
        expectSameInAnyBlock(once.result, apart.result);
      }
    },
  );

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
