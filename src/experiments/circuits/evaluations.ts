/** @file The list of runs that circuit evaluation makes of every prompt, in the order that shards slice. */
import type { Ablation } from "../../nodes/intervention.js";
import type { ScoreSpec } from "../../sweep/sweep.js";
import { type Point, pointsOf } from "./points.js";
import { type AnySweep, type CircuitsSpec, circuitsSpecOf, type ExperimentSpec, experimentsOf } from "./spec.js";

/** One of the sweep's threshold circuits. */
export interface ThresholdCircuit {
  /** Name in `circuits.parquet`: `<variant>-<two digits>`. */
  readonly name: string;
  readonly variant: CircuitsSpec["variants"][number];
  readonly threshold: number;
}

/** One evaluation of every prompt (clean and corrupted). */
export type Evaluation =
  | { readonly kind: "full" }
  | {
      readonly kind: "empty";
      readonly ablation: Ablation;
      readonly exemptEarlyLayers: boolean;
      /** Key of the set that is exempt, of a configuration on sets. */
      readonly exempt?: string;
    }
  | { readonly kind: "circuit" | "complement"; readonly ablation: Ablation; readonly circuit: ThresholdCircuit }
  | { readonly kind: "custom"; readonly ablation: Ablation; readonly experiment: ExperimentSpec }
  | {
      readonly kind: "point";
      readonly side: "circuit" | "complement";
      readonly ablation: Ablation;
      readonly point: Point;
    };

/** The threshold circuits: every variant at every threshold. */
export function circuitsOf(spec: Pick<CircuitsSpec, "variants" | "thresholds">): ThresholdCircuit[] {
  return spec.variants.flatMap((variant) =>
    spec.thresholds.map((threshold, i) => ({
      name: `${variant}-${String(i).padStart(2, "0")}`,
      variant,
      threshold,
    })),
  );
}

/**
 * Every evaluation of the sweep: the unablated run once, each needed empty circuit once, then circuits with their
 * complements, then custom configurations, then configurations on sets, of which equal ones once.
 */
export function evaluationsOf(sweep: AnySweep): Evaluation[] {
  const circuits = circuitsSpecOf(sweep);
  const experiments = experimentsOf(sweep);
  const evaluations: Evaluation[] = [{ kind: "full" }];
  const addEmpty = (ablation: Ablation, exemptEarlyLayers: boolean, exempt?: string): void => {
    if (emptyIndex(evaluations, { ablation, exemptEarlyLayers, exempt }) < 0)
      evaluations.push({ kind: "empty", ablation, exemptEarlyLayers, ...(exempt === undefined ? {} : { exempt }) });
  };
  const points = new Map(pointsOf(sweep).map((point) => [point.key, point]));
  if (circuits !== undefined) addEmpty(circuits.ablation, circuits.exempt_early_layers);
  for (const experiment of experiments) addEmpty(experiment.ablation, false);
  for (const point of points.values()) addEmpty(point.configuration.ablation, false, point.sets.exempt?.key);
  if (circuits !== undefined) {
    const { ablation, completeness } = circuits;
    for (const circuit of circuitsOf(circuits)) {
      evaluations.push({ kind: "circuit", ablation, circuit });
      if (completeness) evaluations.push({ kind: "complement", ablation, circuit });
    }
  }
  for (const experiment of experiments) evaluations.push({ kind: "custom", ablation: experiment.ablation, experiment });
  for (const point of points.values()) {
    const { ablation, complement } = point.configuration;
    evaluations.push({ kind: "point", side: "circuit", ablation, point });
    if (complement === true) evaluations.push({ kind: "point", side: "complement", ablation, point });
  }
  return evaluations;
}

/** Index of the empty circuit with these options, or -1. */
export function emptyIndex(
  evaluations: readonly Evaluation[],
  {
    ablation,
    exemptEarlyLayers,
    exempt,
  }: { readonly ablation: Ablation; readonly exemptEarlyLayers: boolean; readonly exempt?: string | undefined },
): number {
  return evaluations.findIndex(
    (one) =>
      one.kind === "empty" &&
      one.ablation === ablation &&
      one.exemptEarlyLayers === exemptEarlyLayers &&
      one.exempt === exempt,
  );
}

/** Name of the scores that circuits and thresholded experiments rank nodes by; undefined where nothing needs scores. */
export function circuitScoresName(sweep: AnySweep & { readonly scores: readonly ScoreSpec[] }): string | undefined {
  const circuits = circuitsSpecOf(sweep);
  if (circuits !== undefined) return circuits.scores;
  return experimentsOf(sweep).some((one) => one.threshold !== null) ? sweep.scores[0]?.name : undefined;
}

/** Layers that `exempt_early_layers` spares: i < floor(n_layers / 3). Source: REFERENCE 5. */
export function earlyLayers(nLayers: number): number {
  return Math.floor(nLayers / 3);
}
