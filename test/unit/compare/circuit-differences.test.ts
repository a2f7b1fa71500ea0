/** @file Paired differences of circuits. */
import { describe, expect, test } from "vitest";
import { circuitDifferences } from "../../../src/compare/circuit-differences.js";
import type { MeasuredCircuit } from "../../../src/compare/compared-run.js";
import { toCircuitRow } from "../../../src/experiments/circuits/report/circuit-row.js";
import { must } from "../../../src/base/assert.js";
import { createRng } from "../../../src/base/rng.js";
import { resampleClusters } from "../../../src/stats/bootstrap.js";
import { CONTEXT, PROMPTS } from "./two-tables.js";

const resamples = resampleClusters(CONTEXT.clusters, 200, 1);
const rows = (value: (row: number) => number): Float64Array =>
  Float64Array.from({ length: 2 * PROMPTS }, (_, row) => value(row));
const full = rows((row) => 3 + (row % 5) / 10);
const noise = createRng(1, "circuits");
const wobble = rows(() => noise.normal());

const COUNTS = { n_errors_resid: 0, n_errors_other: 0, n_sites: 0, n_heads: 0, n_neurons: 0 };

interface Parts {
  readonly variant?: string;
  readonly threshold?: number;
  readonly share: number;
  readonly full?: Float64Array;
}

/** A circuit that recovers this share of the metric, less some noise that all of them share. */
function circuitOf(
  circuit: string,
  { variant = "all", threshold = 0.1, share, full: own = full }: Parts,
): MeasuredCircuit {
  return {
    row: toCircuitRow({ circuit, variant, threshold, ...COUNTS, n_features: 7 }),
    circuit: own.map((m, row) => share * m + 0.4 * (wobble[row] ?? 0)),
    complement: own.map((m) => (1 - share) * m),
    full: own,
    empty: rows(() => 0),
  };
}

describe("differences of circuits", () => {
  test("of a circuit with itself are exactly 0", () => {
    const circuit = circuitOf("all-00", { share: 0.5 });
    for (const { difference } of circuitDifferences([circuit], [circuit], resamples))
      expect(difference).toEqual({ value: 0, low: 0, high: 0, bias: 0 });
  });

  test("are paired: noise that both share is not in the interval, and the sides count together", () => {
    const [one, other] = [0.5, 0.7].map((share) => circuitOf("all-00", { share }));
    const [faithfulness, completeness] = circuitDifferences([must(one, "a")], [must(other, "b")], resamples);
    expect(faithfulness?.measure).toBe("faithfulness");
    for (const name of ["value", "low", "high"] as const) {
      expect(faithfulness?.difference[name]).toBeCloseTo(0.2, 10);
      expect(completeness?.difference[name]).toBeCloseTo(-0.2, 10);
    }
    expect(must(faithfulness?.a.high, "high") - must(faithfulness?.a.low, "low")).toBeGreaterThan(0.02);
  });

  test("are of circuits of one variant and threshold, whatever their numbers, and of experiments of one name", () => {
    const own = (share: number, first: string, second: string): MeasuredCircuit[] => [
      circuitOf(first, { threshold: 0.1, share }),
      circuitOf(second, { threshold: 0.2, share }),
      circuitOf("late", { variant: "custom", threshold: Number.NaN, share }),
    ];
    const second = [...own(0.6, "all-03", "all-00"), circuitOf("other", { variant: "custom", share: 0.6 })];
    const found = circuitDifferences(own(0.5, "all-00", "all-01"), second.slice(1), resamples);
    expect(found.map(({ circuit, threshold, sizes }) => [circuit, threshold, sizes])).toEqual([
      ["all", 0.2, [7, 7]],
      ["all", 0.2, [7, 7]],
      ["late", Number.NaN, [7, 7]],
      ["late", Number.NaN, [7, 7]],
    ]);
  });

  test("are undefined where one of the two has nothing to recover", () => {
    const known = circuitOf("all-00", { share: 0.5 });
    const nothing = circuitOf("all-00", { share: 0.5, full: wobble });
    for (const [a, b] of [[known, nothing], [nothing, known]] as const) // prettier-ignore
      expect(circuitDifferences([a], [b], resamples)[0]?.difference).toEqual({ value: null, low: null, high: null, bias: null }); // prettier-ignore
  });
});
