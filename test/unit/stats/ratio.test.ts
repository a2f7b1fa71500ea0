/** @file Ratios over prompts, and the noise floor. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { resamplePrompts } from "../../../src/stats/bootstrap.js";
import { isToldFromZero, meanOfRatios, meanOfRows, ratioOfMeans, recovered } from "../../../src/stats/ratio.js";
import { numericFloor, splitHalfReliability } from "../../../src/stats/reliability.js";

describe("ratios", () => {
  test("of means and mean of ratios differ as defined", () => {
    const resamples = resamplePrompts(2, 50, 0);
    const [above, below] = [Float64Array.of(1, 9), Float64Array.of(2, 10)];
    expect(ratioOfMeans(above, below, resamples).value).toBeCloseTo(10 / 12, 12);
    expect(meanOfRatios(above, below, resamples).value).toBeCloseTo((0.5 + 0.9) / 2, 12);
  });

  test("a full circuit recovers 1 and an empty one 0, without width", () => {
    const full = Float64Array.of(3, 4, 5, 6);
    const empty = Float64Array.of(1, 1, -1, 0);
    const resamples = resamplePrompts(2, 100, 1);
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
    const above = Float64Array.of(1, 2, 3, 9, 8, 7);
    const below = new Float64Array(6).fill(1);
    const { low, high } = ratioOfMeans(above, below, resamplePrompts(3, 100, 2));
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
      expect(isToldFromZero(meanOfRows(below, resamples))).toBe(defined);
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
    const single = resamplePrompts(1, 10, 0);
    expect(ratioOfMeans(Float64Array.of(1), Float64Array.of(2), single)).toMatchObject({ value: 0.5, low: null });
    expect(ratioOfMeans(Float64Array.of(1), Float64Array.of(0), single).value).toBeNull();
  });

  test("a zero denominator leaves the ratio undefined", () => {
    const resamples = resamplePrompts(2, 10, 0);
    expect(meanOfRatios(Float64Array.of(1, 1), Float64Array.of(0, 1), resamples).value).toBeNull();
    expect(ratioOfMeans(Float64Array.of(1, 1), Float64Array.of(-1, 1), resamples).value).toBeNull();
  });
});

describe("resamples", () => {
  test("draw as many prompts as there are, and repeat with the seed", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 1000 }), (prompts, seed) => {
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
    const found = splitHalfReliability(
      { prompts, nodes, values: effects(prompts, nodes, noise), present: null },
      0,
      100,
    );
    const half = 1 / (1 + noise ** 2 / (prompts / 2));
    expect(found.pearson.value).toBeCloseTo(half, 1);
    expect(found.spearman_brown.value).toBeCloseTo(1 / (1 + noise ** 2 / prompts), 1);
    expect(found.n).toBe(nodes);
  });

  test("is 1 where every prompt has the same effects, and absent with one prompt", () => {
    const values = Float64Array.of(1, 2, 3, 1, 2, 3, 1, 2, 3);
    expect(splitHalfReliability({ prompts: 3, nodes: 3, values, present: null }, 0).pearson.value).toBeCloseTo(1, 12);
    const single = splitHalfReliability({ prompts: 1, nodes: 3, values: values.slice(0, 3), present: null }, 0);
    expect(single.pearson.value).toBeNull();
    expect(single.splits).toBe(0);
  });

  test("of the arithmetic names the largest difference", () => {
    const floor = numericFloor(Float64Array.of(1, -2, 0, 4), Float64Array.of(1, -2.5, 0, 4));
    expect(floor).toMatchObject({ n: 4, max_abs_difference: 0.5, max_relative_difference: 0.2, max_abs_effect: 4 });
    expect(numericFloor(Float64Array.of(1, 2), Float64Array.of(1, 2)).pearson).toBeCloseTo(1, 12);
  });
});
