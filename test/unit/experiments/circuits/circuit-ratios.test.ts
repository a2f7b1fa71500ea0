/** @file Intervals of circuits' ratios that hold at once: for whoever picks one of many circuits. */
import { describe, expect, test, vi } from "vitest";
import { createRng } from "../../../../src/base/rng.js";
import { must } from "../../../../src/base/assert.js";
import {
  circuitRatios,
  NOT_PICKED,
  simultaneousRatios,
  type CircuitMetrics,
} from "../../../../src/experiments/circuits/circuit-ratios.js";
import { resampleClusters } from "../../../../src/stats/bootstrap.js";
import { clustersOf } from "../../../../src/stats/clusters.js";

/** Circuits that recover half of the metric, with noise of their own on each prompt. */
function circuitsOf(count: number, prompts: number, seed: number): CircuitMetrics[] {
  const rng = createRng(seed, "circuits");
  return Array.from({ length: count }, () => ({
    circuit: Float64Array.from({ length: prompts }, () => 1 + rng.normal()),
    complement: null,
    full: new Float64Array(prompts).fill(2),
    empty: new Float64Array(prompts),
  }));
}

const draws = (prompts: number, seed = 0) =>
  resampleClusters(clustersOf(new Array<undefined>(prompts).fill(undefined)), 300, seed);

describe("intervals of all circuits at once", () => {
  test("hold for every circuit about as often as they say, where single ones do not", () => {
    const [samples, count, prompts] = [40, 12, 24];
    let [together, single] = [0, 0];
    const holds = (low: number, high: number): boolean => low <= 0.5 && high >= 0.5;
    for (let sample = 0; sample < samples; sample++) {
      const [circuits, resamples] = [circuitsOf(count, prompts, sample), draws(prompts, sample)];
      const bounds = simultaneousRatios(circuits, resamples);
      if (bounds.every((one) => holds(must(one["faithfulness_simultaneous_low"], "low"), must(one["faithfulness_simultaneous_high"], "high")))) together++; // prettier-ignore
      const alone = circuits.map((one) => circuitRatios(one, resamples).numbers);
      if (alone.every((one) => holds(must(one["faithfulness_low"], "low"), must(one["faithfulness_high"], "high")))) single++; // prettier-ignore
    }
    expect(together / samples).toBeGreaterThan(0.85);
    expect(single / samples).toBeLessThan(0.7);
  });

  test("are none without complements, with few clusters, and those of a ratio that does not vary are its value", () => {
    const [first, second] = circuitsOf(2, 10, 1);
    const whole = { ...must(first, "circuit"), circuit: must(first, "circuit").full };
    const [fixed, other] = simultaneousRatios([whole, must(second, "circuit")], draws(10));
    expect(fixed).toMatchObject({ faithfulness_simultaneous_low: 1, faithfulness_simultaneous_high: 1 });
    expect(other?.["faithfulness_simultaneous_low"]).toBeLessThan(0.5);
    expect(other?.["completeness_simultaneous_low"]).toBeNaN();
    expect(simultaneousRatios(circuitsOf(2, 5, 1), draws(5))).toEqual([NOT_PICKED, NOT_PICKED]);
  });
});

test("circuits of one full model and one empty circuit draw what there is to recover once", () => {
  const [first, second] = circuitsOf(2, 10, 1);
  const { full, empty } = must(first, "circuit");
  const resamples = draws(10);
  const reads = vi.spyOn(resamples.times, "subarray");
  const readsOf = (circuit: CircuitMetrics): number => {
    reads.mockClear();
    circuitRatios(circuit, resamples);
    return reads.mock.calls.length;
  };
  const alone = readsOf(must(first, "circuit"));
  expect(readsOf({ ...must(second, "circuit"), full, empty })).toBeLessThan(alone);
});
