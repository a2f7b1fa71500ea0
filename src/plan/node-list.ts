/** @file The nodes whose truth a sweep asks for, as its `truth` names them: by kind in short forms, and by sets. */
import { z } from "zod";
import { SAE_SITES } from "../nodes/site.js";
import { featureField, hookField, layersField, nameField, positionField, siteField } from "../sweep/fields.js";
import { nodeSetField } from "./node-sets.js";

const sitesAndLayers = z.strictObject({
  sites: z
    .array(siteField)
    .min(1)
    .default([...SAE_SITES]),
  layers: layersField.default("all"),
});
const listedPosition = z.union([z.literal("all"), z.literal("global"), positionField]);
const features = z.union([
  z.strictObject({
    top: z.int().min(0).default(50),
    random: z.int().min(0).default(50),
    by: nameField.default("atp"),
  }),
  z.literal("all"),
  z.array(z.strictObject({ hook: hookField, feature: featureField })).min(1),
]);

/** What patched nodes take their values from: the prompt's corrupted run, the means at its positions, or nowhere, as they are 0. */
export const TRUTH_DONORS = ["corrupted", "mean", "zero"] as const;
/** A donor of true patching. */
export type TruthDonor = (typeof TRUTH_DONORS)[number];

const fields = z.strictObject({
  positions: z.union([listedPosition.transform((one) => [one]), z.array(listedPosition).min(1)]).default(["all"]),
  errors: sitesAndLayers.optional(),
  features: features.optional(),
  whole_sites: sitesAndLayers.optional(),
  heads: z.strictObject({ layers: layersField.default("all") }).optional(),
  nodes: z.array(nodeSetField).min(1).max(1000).optional(),
  donor: z.enum(TRUTH_DONORS).default("corrupted"),
  joint: z.array(nameField).min(1).max(1000).optional(),
});

/** A list that names neither a kind of node nor a set means error and feature nodes, with their defaults. */
export const nodeListField = fields.transform((given) => {
  const { positions, donor, ...kinds } = given;
  const named = Object.values(kinds).some((part) => part !== undefined);
  return named ? given : { ...given, errors: sitesAndLayers.parse({}), features: features.parse({}) };
});

/** How the node list of true patching is chosen. */
export type NodeListSpec = z.infer<typeof nodeListField>;

/** The list that a sweep asks for. */
export function nodeListOf(sweep: { readonly [field: string]: unknown }): NodeListSpec | undefined {
  return sweep["truth"] as NodeListSpec | undefined;
}

/** The donor of a sweep's truth; plans of earlier versions name none. */
export function truthDonorOf(sweep: { readonly [field: string]: unknown }): TruthDonor {
  const list: Partial<NodeListSpec> | undefined = nodeListOf(sweep);
  return list?.donor ?? "corrupted";
}

/** A field of a sweep's `truth` that names nodes of one kind. */
export type ShortForm = Exclude<keyof NodeListSpec, "positions" | "nodes" | "donor" | "joint">;
