/** @file What intervals are made of: Student's reach, weights of resampled nodes, intervals that hold together, bounds on what was not measured. */
import { describe, expect, test } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { percentileInterval, quantileSorted } from "../../../src/stats/bootstrap.js";
import { calibrationBands } from "../../../src/stats/calibration.js";
import { clusterMean, clustersOf, intraclassCorrelation } from "../../../src/stats/clusters.js";
import { pearson } from "../../../src/stats/correlation.js";
import { exceedingShare, poissonBound } from "../../../src/stats/exceedance.js";
import { resampledWeights } from "../../../src/stats/node-weights.js";
import { simultaneousIntervals } from "../../../src/stats/simultaneous.js";
import { studentQuantile, tailShare } from "../../../src/stats/student.js";

describe("few clusters", () => {
  test.each([
    // scipy.stats.t.ppf(0.975, df)
    [5, 2.5705818356363146],
    [9, 2.262157162798205],
    [19, 2.0930240544083087],
    [199, 1.9719565442517533],
  ])("Student's quantile of %i degrees", (degrees, expected) => {
    expect(Math.abs(studentQuantile(degrees) - expected)).toBeLessThan(3e-4);
  });

  test("take the replicates' tail at the normal share of Student's reach, which nears 2.5 % with many", () => {
    // scipy.stats.norm.sf(sqrt(10 / 9) * t.ppf(.975, 9)) and so on
    expect(tailShare(10)).toBeCloseTo(0.0085506, 5);
    expect(tailShare(30)).toBeCloseTo(0.0187539, 5);
    expect(tailShare(100_000)).toBeCloseTo(0.024998, 6);
    const replicates = Float64Array.from({ length: 1001 }, (_, i) => i);
    const { low, high } = percentileInterval(500, replicates, 10);
    expect(low).toBeCloseTo(1000 * tailShare(10), 9);
    expect(high).toBeCloseTo(1000 * (1 - tailShare(10)), 9);
  });

  test("means: the standard error counts clusters, and is the usual one where each value is its own", () => {
    const values = [3, 1, 4, 1, 5, 9];
    const usual = clusterMean(values, [0, 1, 2, 3, 4, 5]);
    const mean = 23 / 6;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 5);
    expect(usual.mean).toBeCloseTo(mean, 12);
    expect(usual.sem).toBeCloseTo(deviation / Math.sqrt(6), 12);
    const copied = clusterMean([...values, ...values], [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]);
    expect(copied.sem).toBeCloseTo(usual.sem, 12);
    expect(clusterMean(values, [0, 0, 0, 0, 0, 0]).sem).toBeNaN();
  });

  test("intraclass correlation is 1 of copies, and that of a hand calculation", () => {
    expect(intraclassCorrelation([1, 1, 5, 5, 2, 2], [0, 0, 1, 1, 2, 2])).toBeCloseTo(1, 12);
    // Means 2 and 6: between squares 32 / 1, within squares 4 / 2, size 2: (32 - 2) / (32 + 2).
    expect(intraclassCorrelation([1, 3, 5, 7], [0, 0, 1, 1])).toBeCloseTo(14 / 18, 12);
    expect(intraclassCorrelation([1, 2, 3], [0, 1, 2])).toBeNaN();
  });

  test("clusters are numbered in the order of their first prompts; a prompt without a name is one of its own", () => {
    expect(clustersOf(["b", undefined, "a", "b", undefined])).toEqual({ count: 4, of: Int32Array.of(0, 1, 2, 0, 3) });
  });
});

describe("resampled nodes", () => {
  const design = (drawn: number, weight: number) => ({
    weights: new Float64Array(drawn + 2).fill(weight, 0, drawn).fill(1, drawn),
    strata: [...new Array<string>(drawn).fill("rest"), "top", "top"],
  });

  test("keep their sum, are never negative, and leave what was taken whole as it is", () => {
    const next = resampledWeights(design(12, 7), 3);
    for (let draw = 0; draw < 20; draw++) {
      const weights = next();
      expect(weights.slice(0, 12).reduce((a, b) => a + b, 0)).toBeCloseTo(84, 9);
      expect(Math.min(...weights)).toBeGreaterThanOrEqual(0);
      expect([...weights.slice(12)]).toEqual([1, 1]);
    }
  });

  test.each([1.5, 4, 100])("give sums the variance of drawing without replacement: weight %d", (weight) => {
    const rng = createRng(1, "values");
    const drawn = 20;
    const values = Float64Array.from({ length: drawn }, () => rng.normal());
    const mean = values.reduce((a, b) => a + b, 0) / drawn;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (drawn - 1);
    const size = drawn * weight;
    const expected = ((size * size) / drawn) * (1 - 1 / weight) * variance;
    const next = resampledWeights(design(drawn, weight), 5);
    const sums = Float64Array.from({ length: 4000 }, () => {
      const weights = next();
      return values.reduce((sum, value, n) => sum + value * (weights[n] ?? NaN), 0);
    });
    const centre = sums.reduce((a, b) => a + b, 0) / sums.length;
    const found = sums.reduce((sum, value) => sum + (value - centre) ** 2, 0) / sums.length;
    // Four standard errors of a variance of 4,000 draws are 9 %.
    expect(found / expected).toBeGreaterThan(0.91);
    expect(found / expected).toBeLessThan(1.09);
  });
});

describe("simultaneous intervals", () => {
  test("hold all of twenty correlations at once about as often as they say, where single ones do not", () => {
    const [samples, units, variables, draws] = [150, 40, 20, 200];
    let [together, single] = [0, 0];
    for (let sample = 0; sample < samples; sample++) {
      const rng = createRng(sample, "simultaneous");
      const columns = Array.from({ length: variables + 1 }, () =>
        Float64Array.from({ length: units }, () => rng.normal()),
      );
      const times = Array.from({ length: draws }, () => Array.from({ length: units }, () => rng.int(units)));
      const correlations = columns.slice(1).map((column) => {
        const r = (rows: readonly number[]): number =>
          pearson(
            Float64Array.from(rows, (i) => columns[0]?.[i] ?? NaN),
            Float64Array.from(rows, (i) => column[i] ?? NaN),
          );
        return { value: r([...column.keys()]), replicates: Float64Array.from(times, r) };
      });
      const bounds = simultaneousIntervals(correlations, units);
      if (bounds.every((one) => one !== null && one.low <= 0 && one.high >= 0)) together++;
      if (
        correlations.every(({ value, replicates }) => {
          const { low, high } = percentileInterval(value, replicates, units);
          return (low ?? 1) <= 0 && (high ?? -1) >= 0;
        })
      )
        single++;
    }
    expect(together / samples).toBeGreaterThan(0.88);
    expect(single / samples).toBeLessThan(0.7);
  });

  test("are none for a correlation that does not vary, and for any with few clusters", () => {
    const varying = { value: 0.5, replicates: Float64Array.from({ length: 50 }, (_, i) => 0.4 + i / 250) };
    const fixed = { value: 1, replicates: new Float64Array(50).fill(1) };
    const [first, second] = simultaneousIntervals([varying, fixed], 30);
    expect(first?.low).toBeLessThan(0.5);
    expect(second).toBeNull();
    expect(simultaneousIntervals([varying], 5)).toEqual([null]);
  });
});

describe("what was not measured", () => {
  test.each([
    // scipy.stats.chi2.ppf(0.95, 2 * (count + 1)) / 2
    [0, 2.9957322735539895],
    [1, 4.743864518390577],
    [10, 16.962219235721903],
  ])("Poisson bound of %i", (count, expected) => {
    expect(poissonBound(count)).toBeCloseTo(expected, 9);
  });

  test("is bounded by the rule of three, by the stratum that was sampled least", () => {
    expect(exceedingShare([{ size: 1000, drawn: 60 }], 0)).toBeCloseTo(2.995732 / 60, 6);
    const uneven = [
      { size: 500, drawn: 50 },
      { size: 500, drawn: 10 },
    ];
    expect(exceedingShare(uneven, 0)).toBeCloseTo(2.995732 / 20, 6);
    expect(exceedingShare([{ size: 10, drawn: 2 }], 2)).toBe(1);
  });

  test("holds the true share at least as often as it says", () => {
    const rng = createRng(2, "exceeding");
    let held = 0;
    for (let sample = 0; sample < 1000; sample++) {
      const shares = [0.02, 0.15];
      const drawn = [40, 20];
      const exceeding = shares.reduce((sum, share, h) => {
        let count = 0;
        for (let i = 0; i < (drawn[h] ?? 0); i++) if (rng.uniform() < share) count++;
        return sum + count;
      }, 0);
      const bound = exceedingShare(
        drawn.map((n) => ({ size: 500, drawn: n })),
        exceeding,
      );
      if (bound >= 0.085) held++;
    }
    expect(held / 1000).toBeGreaterThan(0.93);
  });
});

describe("calibration", () => {
  test("gives the mean effect in the score's direction, by decades of the score", () => {
    const scores = [1, -0.5, 0.05, 0.04, 0.002, 0];
    const effects = [2, -1, 0.05, -0.01, 0.001, 3];
    const bands = calibrationBands({
      effects: Float64Array.from(effects),
      scores: Float64Array.from(scores),
      weights: Float64Array.of(1, 1, 3, 3, 1, 1),
      members: [0, 1, 2, 3, 4, 5],
    });
    expect(bands.map(({ n }) => n)).toEqual([2, 2, 1]);
    expect(bands.map(({ frame_size }) => frame_size)).toEqual([2, 6, 1]);
    expect(bands[0]?.mean_score).toBeCloseTo(0.75, 12);
    expect(bands[0]?.mean_effect).toBeCloseTo(1.5, 12);
    expect(bands[1]?.mean_effect).toBeCloseTo(0.02, 12);
  });
});

test("quantiles interpolate", () => {
  expect(quantileSorted(Float64Array.of(0, 10), 0.25)).toBe(2.5);
});
