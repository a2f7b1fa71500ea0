/** @file What a sweep says of circuits: threshold circuits, and custom configurations. */
import { z } from "zod";
import { powerOf } from "../../base/elementary-functions.js";
import { ABLATIONS } from "../../nodes/intervention.js";
import { KEEPS, VARIANTS, type Variant } from "../../nodes/selection.js";
import { featureField, hookField, nameField, positionField } from "../../sweep/fields.js";

/** Its power of ten is a finite number above zero. */
const exponent = z.number().min(-300).max(300);
const thresholds = z.union([
  z.strictObject({ log10: z.tuple([exponent, exponent]), count: z.int().min(1).max(1000) }),
  z.array(z.number()).min(1).max(1000),
]);

const circuits = z.strictObject({
  scores: nameField.default("atp"),
  thresholds: thresholds.prefault({ log10: [-4, 0], count: 20 }),
  keep: z.enum(KEEPS).default("absolute"),
  ablation: z.enum(ABLATIONS).default("mean"),
  exempt_early_layers: z.boolean().default(false),
  /** Default: all of them with SAEs, `all` without. */
  variants: z.array(z.enum(VARIANTS)).min(1).optional(),
  /** Without SAEs: whole sites, with attn_z head by head, or the neurons of the MLPs alone. */
  nodes: z.enum(["sites", "heads", "neurons"]).optional(),
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
  positions: z.array(positionField).nullable().default(null),
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
export const circuitFields = { circuits: circuits.optional(), experiments: z.array(experiment).default([]) };

/** A sweep, or what is left of it in a plan. */
export type AnySweep = Readonly<Record<string, unknown>>;

/** The family of circuits that a sweep asks for. */
export function circuitsSpecOf({ circuits }: AnySweep): CircuitsSpec | undefined {
  return circuits as CircuitsSpec | undefined;
}

/** The custom configurations of a sweep. */
export function experimentsOf({ experiments }: AnySweep): readonly ExperimentSpec[] {
  return experiments as readonly ExperimentSpec[];
}

/**
 * Thresholds become numbers, so that the plan holds them and no process computes them again. Variants differ in the error nodes that they
 * ablate: without SAEs there are none.
 */
export function completeCircuits(given: GivenCircuits, withoutSaes: boolean): CircuitsSpec {
  return {
    ...given,
    thresholds: numbersOf(given.thresholds),
    variants: given.variants ?? (withoutSaes ? ["all"] : VARIANTS),
  };
}

/** Ascending as written: `10 ** log10` spaced evenly, or the list itself. */
function numbersOf(thresholds: GivenCircuits["thresholds"]): readonly number[] {
  if (!("log10" in thresholds)) return thresholds;
  const { count } = thresholds;
  const [first, last] = thresholds.log10;
  const step = (i: number): number => (count === 1 ? first : first + ((last - first) * i) / (count - 1));
  return Array.from({ length: count }, (_, i) => powerOf(10, step(i)));
}

/** Whether circuits are made of neurons. */
export function hasNeurons(sweep: { readonly [field: string]: unknown }): boolean {
  return circuitsSpecOf(sweep)?.nodes === "neurons";
}
