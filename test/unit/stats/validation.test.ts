/** @file Group validation: the golden statistics, what enters, weights, and the intervals' behaviour. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { nodeHook } from "../../../src/nodes/node.js";
import { SAE_SITES, type Site } from "../../../src/nodes/site.js";
import type { PromptMatrix } from "../../../src/stats/bootstrap.js";
import { validateGroup, type Agreement } from "../../../src/stats/validation.js";
import { decodeSafetensors } from "../../../src/weights/safetensors.js";

const STATISTICS = ["pearson", "spearman", "kendall", "sign_agreement", "slope", "intercept"] as const;
const expectedFolder = new URL("../../fixtures/tiny-a/expected/", import.meta.url);
const read = (name: string): ReadonlyMap<string, number[]> => {
  const { arrays } = decodeSafetensors(readFileSync(new URL(`${name}.safetensors`, expectedFolder)));
  return new Map([...arrays].map(([key, array]) => [key, Array.from(array.values, Number)]));
};

/** Node values `[P][N]` as a matrix. */
function matrix(rows: readonly (readonly number[])[], present: Uint8Array | null = null): PromptMatrix {
  return { prompts: rows.length, nodes: rows[0]?.length ?? 0, values: Float64Array.from(rows.flat()), present };
}

const ones = (n: number): Float64Array => new Float64Array(n).fill(1);

describe("golden", () => {
  const golden = JSON.parse(readFileSync(new URL("validation.json", expectedFolder), "utf8")) as Record<
    string,
    { n: number } & Record<(typeof STATISTICS)[number], number>
  >;
  const scores = read("scores-atp");
  const truth = new Map([...read("truth-errors"), ...read("truth-features")]);
  const layers = [...scores.keys()].filter((key) => key.endsWith("hook_resid_post.hook_sae_error")).length;

  /** Means of one group; a group of one position takes that entry of each layer's error nodes. */
  function group(key: string): { score: number[]; effect: number[] } {
    const match = /^(error|feature)\/(\w+)(?:\/position (\d+))?$/.exec(key);
    const [, kind, site, position] = match ?? [];
    const of = (table: ReadonlyMap<string, number[]>, suffix: string): number[] =>
      Array.from({ length: layers }, (_, layer) => {
        const hook = nodeHook({ site: site as Site, layer }, kind as "error" | "feature");
        const values = table.get(hook + suffix) ?? [];
        return position === undefined ? values : values.slice(Number(position), Number(position) + 1);
      }).flat();
    return { score: of(scores, ""), effect: of(truth, ".effect_mean") };
  }

  test.each(Object.keys(golden))("%s", (key) => {
    const { score, effect } = group(key);
    const found = validateGroup({
      score: matrix([score]),
      truth: matrix([effect]),
      weights: ones(score.length),
      seed: 0,
      resamples: 0,
    });
    expect(found.n).toBe(golden[key]?.n);
    for (const name of STATISTICS) expect(found[name].value).toBeCloseTo(golden[key]?.[name] ?? Number.NaN, 10);
  });

  test("covers every site", () => {
    for (const site of SAE_SITES) expect(Object.keys(golden)).toContain(`error/${site}`);
  });
});

/** P prompts of N nodes: each node has a score and an effect of its own, prompts scale and disturb both. */
function simulate(seed: number, prompts: number, nodes: number): { score: PromptMatrix; truth: PromptMatrix } {
  const population = createRng(7, "population", nodes);
  const scoreOf = Array.from({ length: nodes }, () => population.normal());
  const effectOf = scoreOf.map((score) => 0.9 * score + 0.3 * population.normal());
  const rng = createRng(seed, "sample");
  const rows = Array.from({ length: prompts }, () => {
    const shared = scoreOf.map(() => 0.3 * rng.normal());
    return {
      score: scoreOf.map((mean, n) => mean + (shared[n] ?? 0) + 0.2 * rng.normal()),
      truth: effectOf.map((mean, n) => mean + (shared[n] ?? 0) + 0.2 * rng.normal()),
    };
  });
  return { score: matrix(rows.map((row) => row.score)), truth: matrix(rows.map((row) => row.truth)) };
}

/** The statistics of the population that {@link simulate} draws from. */
function populationOf(nodes: number): Agreement {
  const population = createRng(7, "population", nodes);
  const score = Array.from({ length: nodes }, () => population.normal());
  const effect = score.map((mean) => 0.9 * mean + 0.3 * population.normal());
  return validateGroup({
    score: matrix([score]),
    truth: matrix([effect]),
    weights: ones(nodes),
    seed: 0,
    resamples: 0,
  });
}

describe("intervals", () => {
  test("hold the population's value about as often as they say", () => {
    const [samples, nodes] = [150, 25];
    const population = populationOf(nodes);
    const covered = { pearson: 0, kendall: 0, slope: 0 };
    for (let sample = 0; sample < samples; sample++) {
      const found = validateGroup({
        ...simulate(sample, 40, nodes),
        weights: ones(nodes),
        seed: sample,
        resamples: 200,
      });
      for (const name of ["pearson", "kendall", "slope"] as const) {
        const { low, high } = found[name];
        const value = population[name].value ?? Number.NaN;
        if (low !== null && high !== null && low <= value && value <= high) covered[name]++;
      }
    }
    // Nominal 0.95. Over 600 samples: Pearson 0.90, Kendall 0.91, slope 0.93; the bound leaves three binomial standard errors.
    for (const count of Object.values(covered)) expect(count / samples).toBeGreaterThan(0.82);
  });

  test("narrow with more prompts, hold the estimate, and repeat with the seed", () => {
    const few = validateGroup({ ...simulate(1, 20, 30), weights: ones(30), seed: 3, resamples: 200 });
    const many = validateGroup({ ...simulate(1, 500, 30), weights: ones(30), seed: 3, resamples: 200 });
    const width = ({ low, high }: { low: number | null; high: number | null }): number => (high ?? 0) - (low ?? 0);
    for (const name of STATISTICS) {
      const { value, low, high } = few[name];
      expect(low).toBeLessThanOrEqual(value ?? Number.NaN);
      expect(high).toBeGreaterThanOrEqual(value ?? Number.NaN);
    }
    expect(width(many.pearson)).toBeLessThan(width(few.pearson) / 2);
    expect(validateGroup({ ...simulate(1, 20, 30), weights: ones(30), seed: 3, resamples: 200 })).toEqual(few);
  });

  test("keep a prompt's score and effect together: a score that equals the effect has no width", () => {
    const { truth } = simulate(2, 20, 15);
    const found = validateGroup({ score: truth, truth, weights: ones(15), seed: 0, resamples: 100 });
    for (const name of ["pearson", "spearman", "kendall", "sign_agreement", "slope", "top_k_overlap"] as const) {
      expect(found[name].low).toBeCloseTo(1, 12);
      expect(found[name].high).toBeCloseTo(1, 12);
    }
  });

  test("are absent with one prompt", () => {
    const found = validateGroup({ score: matrix([[1, 2, 4]]), truth: matrix([[1, 3, 4]]), weights: ones(3), seed: 0 });
    expect(found.pearson.value).not.toBeNull();
    expect(found.pearson.low).toBeNull();
  });
});

describe("nodes", () => {
  test("enter where score or effect is not zero, and where a prompt has them", () => {
    const score = matrix([
      [0, 1, 0, 2, 9],
      [0, 1, 0, 4, 9],
    ]);
    const truth = matrix(
      [
        [0, 1, 5, 3, 9],
        [0, 1, 5, 9, 9],
      ],
      Uint8Array.of(1, 1, 1, 1, 0, 1, 1, 1, 0, 0),
    );
    const found = validateGroup({ score: { ...score, present: truth.present }, truth, weights: ones(5), seed: 0 });
    expect(found.n).toBe(3);
    expect(found.top_k_overlap.k).toBe(3);
  });

  test("weighted by how many they stand for give the frame's statistics", () => {
    const { score, truth } = simulate(4, 10, 6);
    const weights = Float64Array.of(1, 1, 2, 2, 3, 3);
    const repeat = ({ prompts, nodes, values }: PromptMatrix): PromptMatrix =>
      matrix(
        Array.from({ length: prompts }, (_, p) =>
          Array.from(weights, (weight, n) => new Array<number>(weight).fill(values[p * nodes + n] ?? 0)).flat(),
        ),
      );
    const sampled = validateGroup({ score, truth, weights, seed: 5, resamples: 100 });
    const frame = validateGroup({
      score: repeat(score),
      truth: repeat(truth),
      weights: ones(12),
      seed: 5,
      resamples: 100,
    });
    for (const name of STATISTICS) {
      expect(sampled.weighted[name].value).toBeCloseTo(frame[name].value ?? Number.NaN, 10);
      expect(sampled.weighted[name].low).toBeCloseTo(frame[name].low ?? Number.NaN, 10);
      expect(sampled.weighted[name].high).toBeCloseTo(frame[name].high ?? Number.NaN, 10);
    }
    expect(sampled.weighted.pearson.value).not.toBeCloseTo(sampled.pearson.value ?? Number.NaN, 6);
  });

  test("none of them give an empty group, not an error", () => {
    const zero = matrix([
      [0, 0],
      [0, 0],
    ]);
    const found = validateGroup({ score: zero, truth: zero, weights: ones(2), seed: 0, resamples: 10 });
    expect(found.n).toBe(0);
    expect(found.pearson).toEqual({ value: null, low: null, high: null, bias: null });
  });
});
