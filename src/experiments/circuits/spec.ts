/** @file What a sweep says of circuits: threshold circuits, and custom configurations. */
import { z } from "zod";
import { ABLATIONS } from "../../nodes/intervention.js";
import { KEEPS, VARIANTS, type Variant } from "../../nodes/selection.js";
import { CIRCUIT_NODES } from "../../plan/circuit-sites.js";
import { setField } from "../../plan/set-expression.js";
import { branch, featureField, hookField, nameField, positionField } from "../../sweep/fields.js";
import { log10, powersOfTen } from "./grid.js";
import { isOnSets, type SetExperiment, setExperiment } from "./points.js";

const thresholds = z.union([log10, z.array(z.number()).min(1).max(1000)]);

const circuits = z.strictObject({
  scores: nameField.default("atp"),
  thresholds: thresholds.prefault({ log10: [-4, 0], count: 20 }),
  keep: z.enum(KEEPS).default("absolute"),
  ablation: z.enum(ABLATIONS).default("mean"),
  exempt_early_layers: z.boolean().default(false),
  /** Default: all of them with SAEs, `all` without. */
  variants: z.array(z.enum(VARIANTS)).min(1).optional(),
  /** Without SAEs: whole sites, with attn_z head by head, or the neurons of the MLPs alone. */
  nodes: z.enum(CIRCUIT_NODES).optional(),
  completeness: z.boolean().default(true),
});

/** What a plan's sweep says in full, though the file may not. */
interface Completed {
  readonly thresholds: readonly number[];
  readonly variants: readonly Variant[];
}

/** What a file says of a family of circuits, with some defaults. */
type GivenCircuits = Omit<z.infer<typeof circuits>, "variants" | "thresholds"> & {
  readonly thresholds: z.infer<typeof thresholds> | readonly number[];
  readonly variants?: readonly Variant[] | undefined;
};

/** A family of circuits: thresholds by variants. */
export type CircuitsSpec = Omit<GivenCircuits, keyof Completed> & Completed;

const nodeChoice = z.strictObject({
  nodes: z.array(hookField).default([]),
  features: z.record(hookField, z.array(featureField)).default({}),
  positions: z
    .array(positionField)
    .min(1, "names no position; leave the field out for all of them")
    .nullable()
    .default(null),
});

const experiment = z.strictObject({
  name: nameField,
  ablation: z.enum(ABLATIONS).default("mean"),
  threshold: z
    .strictObject({ keep: z.enum(KEEPS), value: z.number() })
    .nullable()
    .default(null),
  ablate: nodeChoice.prefault({}),
  restore: nodeChoice.prefault({}),
});

/** A custom ablate/restore configuration. */
export type ExperimentSpec = z.infer<typeof experiment>;

/** The fields of a sweep. */
export const circuitFields = {
  circuits: circuits.optional(),
  experiments: z.array(z.union([branch(experiment), branch(setExperiment)])).default([]),
  sets: z.record(nameField, setField).optional(),
};

/** A sweep, or what is left of it in a plan. */
export type AnySweep = Readonly<Record<string, unknown>>;

/** The family of circuits that a sweep asks for. */
export function circuitsSpecOf({ circuits }: AnySweep): CircuitsSpec | undefined {
  return circuits as CircuitsSpec | undefined;
}

/** Everything that a sweep lists under `experiments`. */
export function listedExperiments({ experiments }: AnySweep): readonly (ExperimentSpec | SetExperiment)[] {
  return experiments as readonly (ExperimentSpec | SetExperiment)[];
}

/** The custom configurations of a sweep that name nodes by their hooks. */
export function experimentsOf(sweep: AnySweep): readonly ExperimentSpec[] {
  return listedExperiments(sweep).filter((one): one is ExperimentSpec => !isOnSets(one));
}

/**
 * Thresholds become numbers, so that the plan holds them and no process computes them again. Variants differ in the error nodes that they
 * ablate: without SAEs there are none.
 */
export function completeCircuits(given: GivenCircuits, withoutSaes: boolean): CircuitsSpec {
  return {
    ...given,
    thresholds: "log10" in given.thresholds ? powersOfTen(given.thresholds) : given.thresholds,
    variants: given.variants ?? (withoutSaes ? ["all"] : VARIANTS),
  };
}

/** Whether circuits are made of neurons. */
export function hasNeurons(sweep: { readonly [field: string]: unknown }): boolean {
  return circuitsSpecOf(sweep)?.nodes === "neurons";
}
