/** @file Rows of circuits.parquet. */
import { VARIANTS, type Variant } from "../../../nodes/selection.js";
import type { ParquetRow } from "../../../artifacts/parquet.js";

/** One row of circuits.parquet. */
export interface CircuitRow {
  readonly circuit: string;
  /** Name of the experiment; empty in artifacts of earlier versions. */
  readonly experiment: string;
  readonly variant: string;
  readonly threshold: number;
  readonly ablation: string;
  readonly keep: string;
  readonly exemptEarlyLayers: boolean;
  readonly features: number;
  readonly errorsResid: number;
  readonly errorsOther: number;
  readonly sites: number;
  readonly heads: number;
  readonly neurons: number;
  readonly nodesAblated: number;
  readonly nodesRestored: number;
  /** Sum of the scores of what is ablated; NaN where it was not asked for. */
  readonly beside: number;
  readonly metricCircuit: number;
  readonly metricFull: number;
  /** Why faithfulness and completeness are undefined; empty where they are not. */
  readonly undefinedBecause: string;
  /** `m(full) - m(empty)`, what both are shares of, with its interval. */
  readonly denominator: number;
  readonly denominatorLow: number;
  readonly denominatorHigh: number;
  readonly faithfulness: number;
  readonly faithfulnessLow: number;
  readonly faithfulnessHigh: number;
  readonly faithfulnessMean: number;
  readonly completeness: number;
  readonly completenessLow: number;
  readonly completenessHigh: number;
  /** Bounds that hold for both ratios of all threshold circuits at once. */
  readonly simultaneous: {
    readonly faithfulnessLow: number;
    readonly faithfulnessHigh: number;
    readonly completenessLow: number;
    readonly completenessHigh: number;
  };
  /** Clusters of the prompts behind every interval; NaN where an earlier version does not say. */
  readonly clusters: number;
}

/** Reads one of them. */
export function toCircuitRow(row: ParquetRow): CircuitRow {
  const optional = (name: string): number => (typeof row[name] === "number" ? row[name] : Number.NaN);
  return {
    circuit: String(row["circuit"]),
    experiment: typeof row["experiment"] === "string" ? row["experiment"] : "",
    variant: String(row["variant"]),
    threshold: optional("threshold"),
    ablation: String(row["ablation"]),
    keep: String(row["keep"]),
    exemptEarlyLayers: row["exempt_early_layers"] === true,
    features: Number(row["n_features"]),
    errorsResid: Number(row["n_errors_resid"]),
    errorsOther: Number(row["n_errors_other"]),
    sites: Number(row["n_sites"]),
    heads: Number(row["n_heads"]),
    neurons: Number(row["n_neurons"] ?? 0), // Artifacts of earlier versions do not have it.
    nodesAblated: Number(row["nodes_ablated"]),
    nodesRestored: Number(row["nodes_restored"]),
    beside: optional("beside"),
    metricCircuit: Number(row["metric_circuit"]),
    metricFull: Number(row["metric_full"]),
    // Artifacts of earlier versions do not have them.
    undefinedBecause: typeof row["undefined_because"] === "string" ? row["undefined_because"] : "",
    denominator: optional("denominator"),
    denominatorLow: optional("denominator_low"),
    denominatorHigh: optional("denominator_high"),
    faithfulness: optional("faithfulness"),
    faithfulnessLow: optional("faithfulness_low"),
    faithfulnessHigh: optional("faithfulness_high"),
    faithfulnessMean: optional("faithfulness_mean"),
    completeness: optional("completeness"),
    completenessLow: optional("completeness_low"),
    completenessHigh: optional("completeness_high"),
    simultaneous: {
      faithfulnessLow: optional("faithfulness_simultaneous_low"),
      faithfulnessHigh: optional("faithfulness_simultaneous_high"),
      completenessLow: optional("completeness_simultaneous_low"),
      completenessHigh: optional("completeness_simultaneous_high"),
    },
    clusters: optional("clusters"),
  };
}

/** One row of contrasts.parquet. */
export interface ContrastRow {
  readonly first: string;
  readonly second: string;
  readonly difference: number;
  readonly low: number;
  readonly high: number;
}

/** Reads one of them. */
export function toContrastRow(row: ParquetRow): ContrastRow {
  return {
    first: String(row["first"]),
    second: String(row["second"]),
    difference: Number(row["difference"]),
    low: Number(row["difference_low"]),
    high: Number(row["difference_high"]),
  };
}

/** Nodes that a circuit keeps. */
export function sizeOf({ features, errorsResid, errorsOther, sites, heads, neurons }: CircuitRow): number {
  return features + errorsResid + errorsOther + sites + heads + neurons;
}

/** The threshold circuits, without custom configurations. */
export function thresholdCircuits(circuits: readonly CircuitRow[] | null): CircuitRow[] {
  return (circuits ?? []).filter(({ variant }) => VARIANTS.some((known) => known === variant));
}

/** What the variants of threshold circuits are called. */
export const VARIANT_NAMES: Readonly<Record<string, string>> = {
  all: "all nodes",
  no_resid_errors: "resid errors ablated",
  no_mlp_attn_errors: "mlp and attn errors ablated",
} satisfies Record<Variant, string>;
