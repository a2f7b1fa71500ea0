/** @file Ratios over prompts, and the noise floor. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { resampleClusters, type Resamples } from "../../../src/stats/bootstrap.js";
import { clustersOf } from "../../../src/stats/clusters.js";
import { isToldFromZero, meanOfRatios, meanOfRows, ratioOfMeans, recovered } from "../../../src/stats/ratio.js";
import { numericFloor, splitHalfReliability } from "../../../src/stats/reliability.js";

const single = (prompts: number) => clustersOf(new Array<undefined>(prompts).fill(undefined));
/** Resamples of prompts that are clusters of their own. */
const resamplePrompts = (prompts: number, count: number, seed: number): Resamples =>
  resampleClusters(single(prompts), count, seed);

describe("ratios", () => {
  test("of means and mean of ratios differ as defined", () => {
    const resamples = resamplePrompts(2, 50, 0);
    const [above, below] = [Float64Array.of(1, 9), Float64Array.of(2, 10)];
    expect(ratioOfMeans(above, below, resamples).value).toBeCloseTo(10 / 12, 12);
    expect(meanOfRatios(above, below, resamples).value).toBeCloseTo((0.5 + 0.9) / 2, 12);
  });

  test("a full circuit recovers 1 and an empty one 0, without width", () => {
    const full = Float64Array.of(3, 4, 5, 6, 4, 3, 3, 4, 5, 6, 4, 3);
    const empty = Float64Array.of(1, 1, -1, 0, 1, 1, 1, 1, -1, 0, 1, 1);
    const resamples = resamplePrompts(6, 100, 1);
    for (const [circuit, expected] of [
      [full, 1],
      [empty, 0],
    ] as const) {
      const { numerator, denominator } = recovered(circuit, full, empty);
      for (const ratio of [ratioOfMeans, meanOfRatios]) {
        const { value, low, high } = ratio(numerator, denominator, resamples);
        expect([value, low, high]).toEqual([expected, expected, expected]);
      }
    }
  });

  test("resample the sides of a prompt together", () => {
    // Clean and corrupted cancel within each prompt: if sides were drawn apart the ratio would vary.
    const above = Float64Array.of(1, 2, 3, 4, 5, 6, 9, 8, 7, 6, 5, 4);
    const below = new Float64Array(12).fill(1);
    const { low, high } = ratioOfMeans(above, below, resamplePrompts(6, 100, 2));
    expect([low, high]).toEqual([5, 5]);
  });

  test("hold the population's ratio about as often as they say", () => {
    const samples = 300;
    let covered = 0;
    for (let sample = 0; sample < samples; sample++) {
      const rng = createRng(sample, "ratio");
      const below = Float64Array.from({ length: 60 }, () => 4 + rng.normal());
      const above = below.map((value) => 0.7 * value + rng.normal());
      const { low, high } = ratioOfMeans(above, below, resamplePrompts(60, 300, sample));
      if ((low ?? 1) <= 0.7 && 0.7 <= (high ?? 0)) covered++;
    }
    expect(covered / samples).toBeGreaterThan(0.91);
    expect(covered / samples).toBeLessThan(0.98);
  });

  test("a denominator whose interval holds zero leaves both undefined, whatever they come to", () => {
    const rng = createRng(5, "denominators");
    const noise = Float64Array.from({ length: 40 }, () => rng.normal());
    const mean = noise.reduce((a, b) => a + b, 0) / noise.length;
    const resamples = resamplePrompts(40, 400, 0);
    const above = new Float64Array(40).fill(1);
    for (const [shift, defined] of [
      [0.05, false],
      [-0.05, false],
      [0.6, true],
      [-0.6, true],
    ] as const) {
      const below = noise.map((value) => value - mean + shift);
      expect(isToldFromZero(below, resamples)).toBe(defined);
      for (const ratio of [ratioOfMeans, meanOfRatios])
        expect(ratio(above, below, resamples).value !== null).toBe(defined);
      if (!defined)
        expect(ratioOfMeans(above, below, resamples)).toEqual({ value: null, low: null, high: null, bias: null });
    }
    expect(
      ratioOfMeans(
        above,
        above.map((one) => 2 * one),
        resamples,
      ).value,
    ).toBe(0.5);
  });

  test("one prompt has no interval: its ratio is given unless the denominator is zero", () => {
    const one = resamplePrompts(1, 10, 0);
    expect(ratioOfMeans(Float64Array.of(1), Float64Array.of(2), one)).toMatchObject({ value: 0.5, low: null });
    expect(ratioOfMeans(Float64Array.of(1), Float64Array.of(0), one).value).toBeNull();
  });

  test("fewer than six clusters have no interval, and still refuse a denominator that is not told from zero", () => {
    const few = resamplePrompts(5, 200, 0);
    const above = new Float64Array(5).fill(1);
    expect(ratioOfMeans(above, Float64Array.of(2, 2.1, 1.9, 2, 2), few)).toMatchObject({ low: null, high: null });
    expect(ratioOfMeans(above, Float64Array.of(2, 2.1, 1.9, 2, 2), few).value).toBeCloseTo(0.5, 12);
    expect(ratioOfMeans(above, Float64Array.of(2, -2.1, 1.9, -2, 2), few).value).toBeNull();
  });

  test("prompts of one cluster are drawn together: repeating every prompt does not narrow the interval", () => {
    const rng = createRng(3, "repeated");
    const rows = Float64Array.from({ length: 12 }, () => 1 + rng.normal());
    const repeated = Float64Array.from({ length: 48 }, (_, p) => rows[p % 12] ?? 0);
    const names = Array.from({ length: 48 }, (_, p) => `subject ${p % 12}`);
    const alone = meanOfRows(rows, resamplePrompts(12, 500, 1));
    const clustered = meanOfRows(repeated, resampleClusters(clustersOf(names), 500, 1));
    const counted = meanOfRows(repeated, resamplePrompts(48, 500, 1));
    for (const end of ["value", "low", "high"] as const) expect(clustered[end]).toBeCloseTo(alone[end] ?? NaN, 12);
    const width = ({ low, high }: typeof alone): number => (high ?? NaN) - (low ?? NaN);
    expect(width(counted)).toBeLessThan(0.6 * width(clustered));
  });

  test("a zero denominator leaves the ratio undefined", () => {
    const resamples = resamplePrompts(2, 10, 0);
    expect(meanOfRatios(Float64Array.of(1, 1), Float64Array.of(0, 1), resamples).value).toBeNull();
    expect(ratioOfMeans(Float64Array.of(1, 1), Float64Array.of(-1, 1), resamples).value).toBeNull();
  });
});

describe("resamples", () => {
  test("draw as many clusters as there are, and repeat with the seed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 30 }), fc.integer({ min: 0, max: 1000 }), (prompts, seed) => {
        const { times } = resamplePrompts(prompts, 5, seed);
        for (let row = 0; row < 5; row++) {
          expect(times.subarray(row * prompts, (row + 1) * prompts).reduce((a, b) => a + b, 0)).toBe(prompts);
        }
        expect(resamplePrompts(prompts, 5, seed).times).toEqual(times);
      }),
    );
  });
});

describe("reliability", () => {
  /** Effects with a known share of noise: the halves of P prompts correlate by signal / (signal + noise / (P / 2)). */
  function effects(prompts: number, nodes: number, noise: number): Float64Array {
    const rng = createRng(11, "effects");
    const means = Array.from({ length: nodes }, () => rng.normal());
    return Float64Array.from({ length: prompts * nodes }, (_, i) => (means[i % nodes] ?? 0) + noise * rng.normal());
  }

  test("is the correlation that the noise leaves, stepped up to all prompts", () => {
    const [prompts, nodes, noise] = [20, 400, 3];
    const matrix = { prompts, nodes, values: effects(prompts, nodes, noise), present: null };
    const found = splitHalfReliability(matrix, single(prompts), 0, 100);
    const half = 1 / (1 + noise ** 2 / (prompts / 2));
    expect(found.pearson.value).toBeCloseTo(half, 1);
    expect(found.spearman_brown.value).toBeCloseTo(1 / (1 + noise ** 2 / prompts), 1);
    expect(found.n).toBe(nodes);
    expect(found.intraclass_correlation).toBeNull();
  });

  test("splits clusters, not prompts: copies of a prompt in both halves would agree with themselves", () => {
    const [clusters, copies, nodes] = [10, 6, 60];
    const distinct = effects(clusters, nodes, 3);
    const prompts = clusters * copies;
    const values = Float64Array.from({ length: prompts * nodes }, (_, i) => distinct[i % (clusters * nodes)] ?? 0);
    const matrix = { prompts, nodes, values, present: null };
    const names = Array.from({ length: prompts }, (_, p) => `subject ${p % clusters}`);
    const clustered = splitHalfReliability(matrix, clustersOf(names), 0, 100);
    const alone = splitHalfReliability({ ...matrix, prompts: clusters, values: distinct }, single(clusters), 0, 100);
    expect(clustered.pearson.value).toBeCloseTo(alone.pearson.value ?? NaN, 10);
    expect(clustered.intraclass_correlation).toBeCloseTo(1, 10);
    expect(splitHalfReliability(matrix, single(prompts), 0, 100).pearson.value).toBeGreaterThan(
      0.2 + (clustered.pearson.value ?? NaN),
    );
  });

  test("is 1 where every prompt has the same effects, and absent with one prompt", () => {
    const values = Float64Array.of(1, 2, 3, 1, 2, 3, 1, 2, 3);
    expect(
      splitHalfReliability({ prompts: 3, nodes: 3, values, present: null }, single(3), 0).pearson.value,
    ).toBeCloseTo(1, 12);
    const one = splitHalfReliability({ prompts: 1, nodes: 3, values: values.slice(0, 3), present: null }, single(1), 0);
    expect(one.pearson.value).toBeNull();
    expect(one.splits).toBe(0);
  });

  test("of the arithmetic names the largest difference", () => {
    const floor = numericFloor(Float64Array.of(1, -2, 0, 4), Float64Array.of(1, -2.5, 0, 4));
    expect(floor).toMatchObject({ n: 4, max_abs_difference: 0.5, max_relative_difference: 0.2, max_abs_effect: 4 });
    expect(numericFloor(Float64Array.of(1, 2), Float64Array.of(1, 2)).pearson).toBeCloseTo(1, 12);
  });
});
