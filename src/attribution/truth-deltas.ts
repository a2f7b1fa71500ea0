/**
 * @file Differences between the corrupted and the clean run at the sites that nodes name: what a patch adds.
 *
 * Error: `e_corr - e_clean`. Feature i: `(f_corr,i - f_clean,i) W_dec[i]`. Whole site: `x_corr - x_clean`. Head: its slice of
 * attn_z's. With live error terms the SAEs downstream are the identity, so adding this is the whole patch.
 *
 * Source: REFERENCE 4.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { Node } from "../circuit/node.js";
import { siteHook, type SiteAt } from "../circuit/site.js";
import { readAndDispose } from "../model/read-tensor.js";
import { withScope } from "../model/tensor-scope.js";
import type { Sae } from "../sae/sae.js";
import type { Run } from "./capture.js";
import { laterRows, padRows, wholeRow } from "./later-positions.js";
import { nodeChanges, siteDelta, type FeatureEntries, type SiteNodes } from "./site-scores.js";
import type { SplicedModel } from "./spliced-model.js";

/** Everything that patches need, for one block of prompts; a row is `prompt * T + position`. */
export interface Deltas {
  /**
   * How a slot's activation differs in a row: for a feature its change, for other kinds the largest magnitude of a change.
   * 0 exactly where nothing differs.
   */
  readonly change: (slot: number, row: number) => number;
  /** Deltas of whole sites or of errors, `[R, d]`. Owner: this object. */
  rows(at: SiteAt, kind: "site" | "error"): Tensor;
  /** Decoder rows of features, `[features.length, d]`. Owner: caller. */
  directions(at: SiteAt, features: Int32Array): Tensor;
  dispose(): void;
}

/** The runs that a patch goes between; nothing differs before position `first`. */
interface Runs {
  readonly clean: Run;
  readonly corrupted: Run;
  readonly first: number;
}

/** Deltas of one site on the device; undefined where no node needs them. */
interface SiteDeltas {
  readonly site: Tensor | undefined;
  readonly error: Tensor | undefined;
  readonly directions: Directions | undefined;
}

/** Decoder rows of the features that slots name: the SAE itself need not stay on the device. */
interface Directions {
  readonly decoder_ND: Tensor;
  /** Row of each feature. */
  readonly rowOf: ReadonlyMap<number, number>;
}

/** Computes the deltas of every site that a node names; nothing differs before position `first`. Owner: caller. */
export async function computeDeltas(
  spliced: SplicedModel,
  clean: Run,
  corrupted: Run,
  nodes: readonly (Node | null)[],
  first: number,
): Promise<Deltas> {
  const sites = new Map<string, SiteDeltas>();
  const changes = new Map<number, Float32Array>();
  const dispose = (): void => {
    for (const { site, error, directions } of sites.values())
      tf.dispose([site, error, directions?.decoder_ND].filter((one) => one !== undefined));
  };
  try {
    for (const [hook, slots] of slotsBySite(nodes))
      sites.set(hook, await siteDeltas(spliced, { clean, corrupted, first }, slots, changes));
  } catch (error) {
    dispose();
    throw error;
  }
  return {
    change: (slot, row) => must(must(changes.get(slot), "slot")[row], "change"),
    rows: (at, kind) => must(sites.get(siteHook(at))?.[kind], `deltas of ${siteHook(at)}`),
    directions: (at, features) => {
      const { decoder_ND, rowOf } = must(sites.get(siteHook(at))?.directions, `directions of ${siteHook(at)}`);
      const rows = features.map((feature) => must(rowOf.get(feature), `feature ${String(feature)}`));
      return tf.gather(decoder_ND, tf.tensor1d(rows, "int32"));
    },
    dispose,
  };
}

function slotsBySite(nodes: readonly (Node | null)[]): Map<string, Map<number, Node>> {
  const bySite = new Map<string, Map<number, Node>>();
  for (const [slot, node] of nodes.entries()) {
    if (node === null) continue;
    const slots = bySite.get(siteHook(node)) ?? new Map<number, Node>();
    bySite.set(siteHook(node), slots.set(slot, node));
  }
  return bySite;
}

/** Deltas of one site; adds each slot's changes by row. */
async function siteDeltas(
  spliced: SplicedModel,
  runs: Runs,
  slots: ReadonlyMap<number, Node>,
  changes: Map<number, Float32Array>,
): Promise<SiteDeltas> {
  const kinds = new Set(Array.from(slots.values(), ({ kind }) => kind));
  const at = must(slots.values().next().value, "node");
  const [x_RD, y_RD] = [runs.clean.site(at), runs.corrupted.site(at)];
  const whole = kinds.has("site") || kinds.has("head") ? tf.tidy(() => siteDelta(x_RD, y_RD)) : undefined;
  const coded = kinds.has("feature") || kinds.has("error") ? await codedChanges(spliced, at, runs, slots) : undefined;
  const rows = must(x_RD.shape[0], "rows");
  const heads = spliced.model.config.nHeads;
  const byFeature = coded === undefined ? new Map<number, Float32Array>() : featureRows(coded.features, slots, rows);
  const byError = coded === undefined ? [] : await magnitudes(coded.error_RD, 1);
  const bySite = whole === undefined ? [] : await magnitudes(whole, 1);
  const byHead = whole === undefined || !kinds.has("head") ? [] : await magnitudes(whole, heads);
  for (const [slot, { kind, feature, head }] of slots) {
    const of = { feature: byFeature.get(feature), error: byError[0], site: bySite[0], head: byHead[head] }[kind];
    changes.set(slot, must(of, "changes of the node"));
  }
  return { site: whole, error: coded?.error_RD, directions: coded?.directions };
}

/** How the site's nodes change, encoded from the first position on that differs. Owner of the tensor: caller. */
async function laterChanges(sae: Sae, at: SiteAt, { clean, corrupted, first }: Runs): Promise<SiteNodes> {
  const { batch, T } = clean.frame;
  return await withScope(async (own) => {
    const [x_RD, y_RD] = [clean, corrupted].map((run) => own(laterRows(run.site(at), batch, first)));
    const { features, error_RD } = await nodeChanges(sae, must(x_RD, "clean"), must(y_RD, "corrupted"));
    const row = features.row.map((later) => wholeRow(later, T, first));
    return { features: { ...features, row }, error_RD: padRows(own(error_RD), batch, first) };
  });
}

/** What the SAE makes of the difference, and where the slots' features point. Owner of the tensors: caller. */
async function codedChanges(
  spliced: SplicedModel,
  at: SiteAt,
  runs: Runs,
  slots: ReadonlyMap<number, Node>,
): Promise<SiteNodes & { readonly directions: Directions | undefined }> {
  return await spliced.withSae(at, async (given) => {
    const sae = must(given, `the SAE of ${siteHook(at)}`);
    const changes = await laterChanges(sae, at, runs);
    const named = [...slots.values()].filter(({ kind }) => kind === "feature").map(({ feature }) => feature);
    const features = [...new Set(named)];
    if (features.length === 0) return { ...changes, directions: undefined };
    const decoder_ND = tf.tidy(() => tf.gather(sae.W_dec_FD, tf.tensor1d(features, "int32")));
    return { ...changes, directions: { decoder_ND, rowOf: new Map(features.map((feature, row) => [feature, row])) } };
  });
}

/** Changes by row of the features that slots name. */
function featureRows(
  { row, feature, value }: FeatureEntries,
  slots: ReadonlyMap<number, Node>,
  rows: number,
): Map<number, Float32Array> {
  const byFeature = new Map<number, Float32Array>();
  for (const { kind, feature: named } of slots.values())
    if (kind === "feature" && !byFeature.has(named)) byFeature.set(named, new Float32Array(rows));
  for (let i = 0; i < row.length; i++) {
    const values = byFeature.get(feature[i] ?? -1);
    if (values !== undefined) values[row[i] ?? -1] = value[i] ?? NaN;
  }
  return byFeature;
}

/** Largest magnitude by row of each of `parts` equal parts of the columns. */
async function magnitudes(delta_RD: Tensor, parts: number): Promise<Float32Array[]> {
  const [rows = 0, D = 0] = delta_RD.shape;
  const largest = await readAndDispose(
    tf.tidy(() => tf.transpose(tf.max(tf.abs(tf.reshape(delta_RD, [rows, parts, D / parts])), 2))),
  );
  return Array.from({ length: parts }, (_, part) => largest.subarray(part * rows, (part + 1) * rows));
}
