/** @file Faithfulness and completeness of a circuit with their intervals, or why there are none. */
import type { ParquetRow } from "../../artifacts/parquet.js";
import {
  percentileInterval,
  UNDEFINED_INTERVAL,
  type Interval,
  type Replicated,
  type Resamples,
} from "../../stats/bootstrap.js";
import {
  isToldFromZero,
  meanOfRows,
  meanOfRatios,
  ratioOfMeans,
  recovered,
  replicatedRatio,
} from "../../stats/ratio.js";
import { simultaneousIntervals, UNBOUNDED, type Bounds } from "../../stats/simultaneous.js";

/** Metrics of a circuit's rows, `[sides, P]`, in the evaluator's sign. */
export interface CircuitMetrics {
  readonly circuit: Float64Array;
  /** Null where complements are not evaluated. */
  readonly complement: Float64Array | null;
  readonly full: Float64Array;
  readonly empty: Float64Array;
}

/** What `circuits.parquet` says of a circuit's ratios. */
export interface CircuitRatios {
  /** Columns by name; NaN where undefined. */
  readonly numbers: Record<string, number>;
  /** Why no ratio is given; empty where they are. */
  readonly undefinedBecause: string;
}

/**
 * Both definitions of both ratios: `<name>` is the ratio of means, `<name>_mean` the mean of per-row ratios. Where full model and
 * empty circuit are not told apart there is nothing to recover, and no share of it.
 */
export function circuitRatios(
  { circuit, complement, full, empty }: CircuitMetrics,
  resamples: Resamples,
): CircuitRatios {
  const whole = recovered(circuit, full, empty);
  const without = complement === null ? null : recovered(complement, full, empty);
  const isTold = isToldFromZero(whole.denominator, resamples);
  const denominator = meanOfRows(whole.denominator, resamples);
  return {
    numbers: {
      ...columns("denominator", denominator),
      ...ratios("faithfulness", whole, resamples),
      ...ratios("completeness", without, resamples),
    },
    undefinedBecause: isTold
      ? ""
      : denominator.value === 0
        ? "metric_full - metric_empty is 0"
        : "the interval of metric_full - metric_empty holds 0",
  };
}

/**
 * Columns of intervals that hold at once for both ratios of all these circuits, a record for each circuit: for whoever picks one of
 * them. NaN where there is no such interval.
 */
export function simultaneousRatios(
  circuits: readonly CircuitMetrics[],
  resamples: Resamples,
): Record<string, number>[] {
  const undefinedRatio = { value: Number.NaN, replicates: new Float64Array(resamples.count).fill(Number.NaN) };
  const known = circuits.flatMap(({ circuit, complement, full, empty }) =>
    [circuit, complement].map((metrics) => {
      const rows = metrics === null ? null : recovered(metrics, full, empty);
      return (rows && replicatedRatio(rows, resamples)) ?? undefinedRatio;
    }),
  );
  const clusters = resamples.clusters.count;
  const bounds = simultaneousIntervals(known, clusters, UNBOUNDED).map(
    (bound, i) => bound ?? fixed(known[i], clusters),
  );
  return circuits.map((_, c) => simultaneousColumns(bounds[2 * c] ?? null, bounds[2 * c + 1] ?? null));
}

/** The columns for a circuit that no one picks. */
export const NOT_PICKED = simultaneousColumns(null, null);

function simultaneousColumns(faithfulness: Bounds | null, completeness: Bounds | null): Record<string, number> {
  return {
    faithfulness_simultaneous_low: faithfulness?.low ?? Number.NaN,
    faithfulness_simultaneous_high: faithfulness?.high ?? Number.NaN,
    completeness_simultaneous_low: completeness?.low ?? Number.NaN,
    completeness_simultaneous_high: completeness?.high ?? Number.NaN,
  };
}

/** The interval of a ratio that is the same in every resample, such as that of the full model to itself. */
function fixed(ratio: Replicated | undefined, clusters: number): Bounds | null {
  if (ratio === undefined) return null;
  const { low, high } = percentileInterval(ratio.value, ratio.replicates, clusters);
  return low === null || low !== high ? null : { low, high };
}

function ratios(name: string, rows: ReturnType<typeof recovered> | null, resamples: Resamples): Record<string, number> {
  const by = (ratio: typeof ratioOfMeans): Interval =>
    rows === null ? UNDEFINED_INTERVAL : ratio(rows.numerator, rows.denominator, resamples);
  return { ...columns(name, by(ratioOfMeans)), ...columns(`${name}_mean`, by(meanOfRatios)) };
}

function columns(name: string, { value, low, high }: Interval): Record<string, number> {
  return {
    [name]: value ?? Number.NaN,
    [`${name}_low`]: low ?? Number.NaN,
    [`${name}_high`]: high ?? Number.NaN,
  };
}

/** Metrics of one prompt's side. */
export interface PromptMetrics {
  readonly circuit: number;
  readonly full: number;
  readonly empty: number;
}

/** The metrics of a row of `circuits-prompts.parquet`. */
export function promptMetricsOf(row: ParquetRow): PromptMetrics {
  return {
    circuit: Number(row["metric_circuit"]),
    full: Number(row["metric_full"]),
    empty: Number(row["metric_empty"]),
  };
}

/** The share of the prompt's own metric that the circuit recovers: `(m(C) - m(empty)) / (m(full) - m(empty))`. */
export function promptFaithfulness({ circuit, full, empty }: PromptMetrics): number {
  return (circuit - empty) / (full - empty);
}
