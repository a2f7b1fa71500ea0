/** @file Differences of circuits' faithfulness and completeness between two runs, paired by prompt. */
import { sizeOf, thresholdCircuits } from "../experiments/circuits/report/circuit-row.js";
import type { Interval, Resamples } from "../stats/bootstrap.js";
import { differenceOfRatios, ratioOfMeans, recovered, type Recovered } from "../stats/ratio.js";
import type { MeasuredCircuit } from "./compared-run.js";
import type { Sides } from "./paired-sides.js";

/** What is compared of a circuit. */
export const MEASURES = ["faithfulness", "completeness"] as const;

/** A ratio of a circuit in two runs, and its paired difference: the second less the first. Undefined where a ratio is. */
export interface CircuitDifference {
  /** The variant of a threshold circuit, or the experiment's name. */
  readonly circuit: string;
  /** NaN for an experiment. */
  readonly threshold: number;
  /** Nodes that it keeps in each run. */
  readonly sizes: Sides<number>;
  readonly measure: (typeof MEASURES)[number];
  readonly a: Interval;
  readonly b: Interval;
  readonly difference: Interval;
}

/**
 * Circuits that both runs have: of the same variant and threshold, or of an experiment of the same name.
 * @param resamples - of the prompts' clusters; both runs share them.
 */
export function circuitDifferences(
  first: readonly MeasuredCircuit[],
  second: readonly MeasuredCircuit[],
  resamples: Resamples,
): CircuitDifference[] {
  const others = new Map(second.map((circuit) => [keyOf(circuit), circuit]));
  return first.flatMap((a) => {
    const b = others.get(keyOf(a));
    if (b === undefined) return [];
    const { variant, circuit, threshold } = a.row;
    const names = isOfThreshold(a) ? { circuit: variant, threshold } : { circuit, threshold: Number.NaN };
    return MEASURES.map((measure) => {
      const [ofA, ofB] = [recoveredBy(a, measure), recoveredBy(b, measure)];
      return {
        ...names,
        sizes: [sizeOf(a.row), sizeOf(b.row)] as const,
        measure,
        a: ratioOfMeans(ofA.numerator, ofA.denominator, resamples),
        b: ratioOfMeans(ofB.numerator, ofB.denominator, resamples),
        difference: differenceOfRatios(ofB, ofA, resamples),
      };
    });
  });
}

function recoveredBy(
  { circuit, complement, full, empty }: MeasuredCircuit,
  measure: CircuitDifference["measure"],
): Recovered {
  return recovered(measure === "faithfulness" ? circuit : complement, full, empty);
}

/** The number in a threshold circuit's name is that of its run's list: the threshold itself says which circuit it is. */
function keyOf(circuit: MeasuredCircuit): string {
  const { row } = circuit;
  return isOfThreshold(circuit) ? `${row.variant} at ${row.threshold}` : `the experiment ${row.circuit}`;
}

function isOfThreshold({ row }: MeasuredCircuit): boolean {
  return thresholdCircuits([row]).length > 0;
}
