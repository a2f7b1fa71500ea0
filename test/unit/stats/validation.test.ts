/** @file Group validation: the golden statistics, what enters, weights, and the intervals' behaviour. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { createRng } from "../../../src/base/rng.js";
import { nodeHook } from "../../../src/nodes/node.js";
import { SAE_SITES, type Site } from "../../../src/nodes/site.js";
import { compareMeans, STATISTICS as ALL } from "../../../src/stats/agreement.js";
import { clustersOf, type PromptMatrix } from "../../../src/stats/clusters.js";
import { levelsOf } from "../../../src/stats/rank.js";
import {
  differenceOf,
  validateFamily,
  type Agreement,
  type FamilyInput,
  type GroupAgreement,
} from "../../../src/stats/validation.js";
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

/** One group of all nodes, of prompts that are clusters of their own; a stratum for each weight. */
interface OneGroup extends Partial<Pick<FamilyInput, "clusters">> {
  readonly resamples: number;
  readonly score: PromptMatrix;
  readonly truth: PromptMatrix;
  readonly weights: Float64Array;
  readonly seed: number;
}

function validateGroup({ score, truth, weights, ...rest }: OneGroup): GroupAgreement {
  const [found] = validateFamily({
    truth,
    scores: [score],
    clusters: clustersOf(new Array<undefined>(truth.prompts).fill(undefined)),
    design: { weights, strata: Array.from(weights, String) },
    groups: [Array.from({ length: truth.nodes }, (_, n) => n)],
    ...rest,
  });
  return must(found?.[0], "group");
}

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
    const all = group(key);
    // What enters is asked by the artifact, before the statistics.
    const entering = all.score.flatMap((one, i) => (one !== 0 || all.effect[i] !== 0 ? [i] : []));
    const [score, effect] = [all.score, all.effect].map((values) => entering.map((i) => values[i] ?? NaN));
    const found = validateGroup({
      score: matrix([score ?? []]),
      truth: matrix([effect ?? []]),
      weights: ones(entering.length),
      seed: 0,
      resamples: 0,
    });
    expect(found.n).toBe(golden[key]?.n);
    for (const name of STATISTICS) expect(found.sample[name].value).toBeCloseTo(golden[key]?.[name] ?? Number.NaN, 10);
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
  }).sample;
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
        const { low, high } = found.sample[name];
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
      const { value, low, high } = few.sample[name];
      expect(low).toBeLessThanOrEqual(value ?? Number.NaN);
      expect(high).toBeGreaterThanOrEqual(value ?? Number.NaN);
    }
    expect(width(many.sample.pearson)).toBeLessThan(width(few.sample.pearson) / 2);
    expect(validateGroup({ ...simulate(1, 20, 30), weights: ones(30), seed: 3, resamples: 200 })).toEqual(few);
  });

  test("keep a prompt's score and effect together: a score that equals the effect has no width", () => {
    const { truth } = simulate(2, 20, 15);
    const found = validateGroup({ score: truth, truth, weights: ones(15), seed: 0, resamples: 100 });
    for (const name of ["pearson", "spearman", "kendall", "sign_agreement", "slope", "top_k_overlap"] as const) {
      expect(found.sample[name].low).toBeCloseTo(1, 12);
      expect(found.sample[name].high).toBeCloseTo(1, 12);
    }
  });

  test("are absent with fewer than six clusters, and with fewer than ten nodes", () => {
    for (const [prompts, nodes, has] of [
      [1, 12, false],
      [5, 12, false],
      [6, 12, true],
      [20, 9, false],
      [20, 10, true],
    ] as const) {
      const found = validateGroup({ ...simulate(1, prompts, nodes), weights: ones(nodes), seed: 0, resamples: 100 });
      expect(found.sample.pearson.value).not.toBeNull();
      expect(found.sample.pearson.low !== null).toBe(has);
      expect(found.frame.pearson.low !== null).toBe(has);
    }
  });

  test("draw clusters, not prompts: copies of the prompts do not narrow them", () => {
    const { score, truth } = simulate(4, 12, 20);
    const copied = ({ nodes, values }: PromptMatrix): PromptMatrix => ({
      prompts: 60,
      nodes,
      values: Float64Array.from({ length: 60 * nodes }, (_, i) => values[i % values.length] ?? 0),
      present: null,
    });
    const alone = validateGroup({ score, truth, weights: ones(20), seed: 3, resamples: 200 });
    const clusters = clustersOf(Array.from({ length: 60 }, (_, p) => `subject ${p % 12}`));
    const copies = { score: copied(score), truth: copied(truth), weights: ones(20), seed: 3, resamples: 200 };
    const clustered = validateGroup({ ...copies, clusters });
    for (const name of STATISTICS) {
      expect(clustered.sample[name].low).toBeCloseTo(alone.sample[name].low ?? NaN, 9);
      expect(clustered.sample[name].high).toBeCloseTo(alone.sample[name].high ?? NaN, 9);
    }
    const counted = validateGroup(copies);
    const width = ({ slope }: Agreement): number => (slope.high ?? NaN) - (slope.low ?? NaN);
    expect(width(counted.sample)).toBeLessThan(0.7 * width(clustered.sample));
  });

  test("of the frame grow with what was not drawn, and of a frame that was measured whole are those of the sample", () => {
    const { score, truth } = simulate(5, 30, 24);
    const width = ({ pearson }: Agreement): number => (pearson.high ?? NaN) - (pearson.low ?? NaN);
    const widths = [1, 2, 20].map((weight) => {
      const found = validateGroup({ score, truth, weights: ones(24).fill(weight), seed: 1, resamples: 400 });
      expect(found.frame.pearson.value).toBeCloseTo(found.sample.pearson.value ?? NaN, 12);
      expect(found.frameSize).toBeCloseTo(24 * weight, 9);
      if (weight === 1) expect(found.frame).toEqual(found.sample);
      return width(found.frame);
    });
    expect(widths[1]).toBeGreaterThan(1.2 * (widths[0] ?? NaN));
    expect(widths[2]).toBeGreaterThan(1.2 * (widths[1] ?? NaN));
  });
});

describe("differences between scores", () => {
  test("are paired: of a score and its multiple they have no width, though each by itself varies", () => {
    const { score, truth } = simulate(6, 20, 15);
    const twice = { ...score, values: score.values.map((value) => 2 * value) };
    const [first, second] = validateFamily({
      truth,
      scores: [score, twice],
      clusters: clustersOf(new Array<undefined>(20).fill(undefined)),
      design: { weights: ones(15).fill(3), strata: new Array<string>(15).fill("all") },
      groups: [Array.from({ length: 15 }, (_, n) => n)],
      seed: 0,
      resamples: 100,
    }).map((row) => must(row[0], "group"));
    const of = (name: "pearson" | "off") => differenceOf(must(first, "first"), must(second, "second"), name, 20);
    expect(must(first, "first").frame.pearson.low).toBeLessThan(must(first, "first").frame.pearson.high ?? NaN);
    for (const end of ["value", "low", "high"] as const) expect(of("pearson")[end]).toBeCloseTo(0, 12);
    expect(of("off").value).toBeLessThan(0);
  });
});

describe("nodes", () => {
  test("are left out of a resample that holds none of their prompts", () => {
    const { score, truth } = simulate(7, 8, 12);
    const present = Uint8Array.from({ length: 96 }, (_, i) => (i % 12 === 11 && i >= 12 ? 0 : 1));
    const found = validateGroup({
      score: { ...score, present },
      truth: { ...truth, present },
      weights: ones(12),
      seed: 0,
      resamples: 200,
    });
    expect(found.n).toBe(12);
    expect(found.sample.pearson.low).not.toBeNull();
    expect(found.replicates.pearson.every(Number.isFinite)).toBe(true);
  });

  test("weighted by how many they stand for give the frame's statistics", () => {
    const { score, truth } = simulate(4, 10, 12);
    const weights = Float64Array.of(1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3);
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
      weights: ones(24),
      seed: 5,
      resamples: 0,
    });
    for (const name of [...STATISTICS, "off", "size_ratio", "sign_agreement_by_effect"] as const)
      expect(sampled.frame[name].value).toBeCloseTo(frame.sample[name].value ?? Number.NaN, 10);
    expect(sampled.frame.pearson.value).not.toBeCloseTo(sampled.sample.pearson.value ?? Number.NaN, 6);
  });

  test("of ten or fewer have no recall: it would be 1 whatever the score", () => {
    for (const [nodes, has] of [
      [10, false],
      [11, true],
    ] as const) {
      const { sample } = validateGroup({ ...simulate(1, 4, nodes), weights: ones(nodes), seed: 0, resamples: 10 });
      expect(sample.top_k_overlap.value !== null).toBe(has);
      expect(sample.top_k_overlap).toMatchObject({ k: 10, chance: has ? 10 / 11 : null });
    }
  });

  test("none of them give an empty group, not an error", () => {
    const empty = matrix([[], []]);
    const found = validateGroup({ score: empty, truth: empty, weights: ones(0), seed: 0, resamples: 10 });
    expect(found.n).toBe(0);
    expect(found.sample.pearson).toEqual({ value: null, low: null, high: null, bias: null });
  });
});

describe("statistics of sizes", () => {
  test("are those of a score that is half the effect with one sign wrong", () => {
    const effect = [4, -2, 1, 3, -6, 2, 5, -1, 7, -3, 8, 9];
    const score = effect.map((value, i) => (i === 2 ? -value / 2 : value / 2));
    const { sample } = validateGroup({
      score: matrix([score, score]),
      truth: matrix([effect, effect]),
      weights: ones(12),
      seed: 0,
      resamples: 0,
    });
    const total = effect.reduce((sum, value) => sum + Math.abs(value), 0);
    expect(sample.off.value).toBeCloseTo((total / 2 + 1) / total, 12);
    expect(sample.sign_agreement.value).toBeCloseTo(11 / 12, 12);
    expect(sample.sign_agreement_by_effect.value).toBeCloseTo((total - 1) / total, 12);
    const spread = (values: number[]): number => {
      const mean = values.reduce((a, b) => a + b, 0) / 12;
      return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0));
    };
    expect(sample.size_ratio.value).toBeCloseTo(spread(score) / spread(effect), 12);
  });
});

test("effects that are equal but for rounding have no correlation, no order and no ratio of sizes", () => {
  const score = Float64Array.of(1, 2, 3, 4);
  const effect = Float64Array.of(5.3, 5.300002, 5.299999, 5.300001);
  const means = { score, effect, scoreLevels: levelsOf(score), effectLevels: levelsOf(effect) };
  const found = Object.fromEntries(ALL.map((name, i) => [name, compareMeans(means, null)[i]]));
  for (const name of ["pearson", "spearman", "kendall", "size_ratio"]) expect(found[name], name).toBeNaN();
  // How far scores are off is still known.
  expect(found["off"]).toBeCloseTo(1 - 10 / 21.2, 5);
  expect(found["sign_agreement"]).toBe(1);
});
