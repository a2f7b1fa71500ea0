/** @file Sets of nodes by kind, site, layer and position, as a sweep writes them, and what they come to for a model. */
import { z } from "zod";
import { KINDS, NODE_KINDS, type NodeKind } from "../nodes/kinds.js";
import { siteHook, SITES, sitesOfLayers, type SiteAt } from "../nodes/site.js";
import type { ModelShape, SaeSite } from "./plan.js";
import { nameField, positionField } from "../sweep/fields.js";

const oneOrSeveral = <Value>(value: z.ZodType<Value>): z.ZodType<readonly Value[]> =>
  z.union([value.transform((one) => [one]), z.array(value).min(1)]);

const layer = z.int().min(-4096).max(4095);
const layerRange = z
  .string()
  .regex(/^-?\d{1,4}\.\.-?\d{1,4}$/, "layers are `all`, a number, a range such as 2..5, or a list of these");

const sample = z.strictObject({
  n: z.int().min(1).max(1_000_000),
  seed: z.int().min(0).max(0xffffffff).optional(),
  strata: z.enum(["magnitude", "none"]).default("magnitude"),
});

/** A set: every field narrows it. */
export const nodeSetField = z.strictObject({
  kind: oneOrSeveral(z.enum(NODE_KINDS)),
  site: oneOrSeveral(z.enum(SITES)).optional(),
  layers: oneOrSeveral(z.union([z.literal("all"), layer, layerRange])).default(["all"]),
  at: oneOrSeveral(z.union([z.literal("all"), z.literal("global"), positionField])).default(["all"]),
  top: z.int().min(1).max(1_000_000).optional(),
  by: nameField.optional(),
  sample: sample.optional(),
});

/** A set as the sweep has it, its defaults filled in. */
export type NodeSet = z.infer<typeof nodeSetField>;

/** Name of the scores that a set ranks by; undefined where it takes every node. */
export function rankedBy({ top, sample: drawn, by }: NodeSet): string | undefined {
  return top === undefined && drawn === undefined ? undefined : (by ?? "atp");
}

/** Layers of the set, ascending, without repeats; those that the model lacks are left in. Negative ones count from the last. */
export function layersOfSet({ layers }: NodeSet, nLayers: number): number[] {
  const fromStart = (one: number): number => (one < 0 ? one + nLayers : one);
  const each = layers.flatMap((part) => {
    if (part === "all") return Array.from({ length: nLayers }, (_, i) => i);
    if (typeof part === "number") return [fromStart(part)];
    const [first = 0, last = 0] = part.split("..").map((text) => fromStart(Number(text)));
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  });
  return [...new Set(each)].sort((a, b) => a - b);
}

/** The sites of the set that have nodes of a kind, in forward order. */
export function sitesOfSet(
  set: NodeSet,
  kind: NodeKind,
  { shape: { nLayers }, saes }: { readonly shape: Pick<ModelShape, "nLayers">; readonly saes: readonly SaeSite[] },
): SiteAt[] {
  const sites = KINDS[kind].sites.filter((site) => set.site === undefined || set.site.includes(site));
  const layers = new Set(layersOfSet(set, nLayers));
  const withSae = new Set(saes.map(siteHook));
  return sitesOfLayers(sites, nLayers).filter(
    (at) => layers.has(at.layer) && (!KINDS[kind].onSae || withSae.has(siteHook(at))),
  );
}
