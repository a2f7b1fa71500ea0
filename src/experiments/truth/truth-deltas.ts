/**
 * @file Differences between the donor and the clean run at the sites that nodes name: what a patch adds.
 *
 * Error: `e_donor - e_clean`; its linear part: `A (x_donor - x_clean)`; its nonlinear part: the rest. Feature i:
 * `(f_donor,i - f_clean,i) W_dec[i]`. Whole site: `x_donor - x_clean`. Head: its slice of attn_z's. Neuron: what the MLP adds with the
 * neuron's value of the donor, less what it adds without. With live error terms the SAEs downstream are the identity, so adding this is
 * the whole patch. The donor is the corrupted run, the means at the positions, or 0. Towards 0 a linear part changes by `-(A x_clean + b)`.
 *
 * Source: REFERENCE 4.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must, unreachable } from "../../base/assert.js";
import { isPartKind, type NodeKind } from "../../nodes/kinds.js";
import { indexOf, type Node } from "../../nodes/node.js";
import { isSaeSite, siteHook, type SiteAt } from "../../nodes/site.js";
import type { ModelConfig } from "../../families/family.js";
import type { Model } from "../../model/model.js";
import type { Run } from "../../passes/capture.js";
import { siteDelta } from "../../passes/site-scores.js";
import type { SplicedModel } from "../../passes/spliced-model.js";
import { errorDelta, type FeatureChanges, featureChanges, magnitudes, partDelta } from "./truth-changes.js";
import { carriedRows, type Carried, eachCarried } from "./truth-climb.js";
import { donorSite } from "./truth-donor.js";
import { neuronChanges, neuronPatch } from "./truth-neurons.js";
import type { ErrorDelta, UnpatchedRuns } from "./unpatched-runs.js";

/** Everything that patches need, for one block of prompts; a row is `prompt * T + position`. */
export interface Deltas {
  /**
   * How a slot's activation differs in a row: for a feature its change, for other kinds the largest magnitude of a change.
   * 0 exactly where nothing differs.
   */
  readonly change: (slot: number, row: number) => number;
  /** What the patches of rows of one kind at one site add, `[R, d]`. Owner: caller. */
  readonly patch: (rows: readonly Carried[]) => Tensor;
  dispose(): void;
}

/** What of one site is on the device; undefined where no node needs it. */
interface SiteDeltas {
  readonly whole: Tensor | undefined;
  /** Kept with the runs. */
  readonly errors: ReadonlyMap<NodeKind, ErrorDelta>;
  readonly features: FeatureChanges | undefined;
}

/** Computes the deltas of every site that a node names. Owner: caller; the runs must outlive them. */
export async function computeDeltas(
  spliced: SplicedModel,
  runs: UnpatchedRuns,
  nodes: readonly (Node | null)[],
): Promise<Deltas> {
  const sites = new Map<string, SiteDeltas>();
  const changes = new Map<number, Float32Array>();
  const dispose = (): void => {
    for (const { whole, features } of sites.values())
      tf.dispose([whole, features?.decoder_ND].filter((one) => one !== undefined));
  };
  try {
    const bySite = slotsBySite(nodes);
    const slotsAt = (at: SiteAt): Map<number, Node> => must(bySite.get(siteHook(at)), "slots");
    const compute = async (at: SiteAt): Promise<void> => {
      sites.set(siteHook(at), await siteDeltas(spliced, runs, at, slotsAt(at), changes));
    };
    const all = Array.from(bySite.values(), (slots): SiteAt => must(slots.values().next().value, "node"));
    const coded = all.filter((at) => needsSae(slotsAt(at), runs.errorDeltas.has(siteHook(at))));
    for (const at of all) if (!coded.includes(at)) await compute(at);
    await spliced.walkSites(coded, compute);
  } catch (error) {
    dispose();
    throw error;
  }
  return {
    change: (slot, row) => must(must(changes.get(slot), "slot")[row], "change"),
    patch: (rows) => patchOf(rows, sites, changes, { model: spliced.model, clean: runs.clean }),
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

/** Whether a slot's delta is encoded. The SAEs of sites where none is are not read. */
function needsSae(slots: ReadonlyMap<number, Node>, errorIsKept: boolean): boolean {
  return Array.from(slots.values()).some(({ kind }) => {
    switch (kind) {
      case "feature":
        return true;
      case "error":
      case "error_nonlinear":
        return !errorIsKept;
      case "error_linear":
      case "site":
      case "head":
      case "neuron":
        return false;
      default:
        return unreachable(kind);
    }
  });
}

/** Deltas of one site; adds each slot's changes by row. */
async function siteDeltas(
  spliced: SplicedModel,
  runs: UnpatchedRuns,
  at: SiteAt,
  slots: ReadonlyMap<number, Node>,
  changes: Map<number, Float32Array>,
): Promise<SiteDeltas> {
  const nodes = [...slots.values()];
  if (!isSaeSite(at)) return await neuronDeltas(spliced, runs, at, slots, changes);
  const kinds = new Set(nodes.map(({ kind }) => kind));
  const named = new Set(nodes.flatMap((node) => (node.kind === "feature" ? [node.feature] : [])));
  const features = named.size > 0 ? await featureChanges(spliced, runs, at, [...named]) : undefined;
  const errors = new Map<NodeKind, ErrorDelta>();
  if (kinds.has("error")) errors.set("error", await errorDelta(spliced, runs, at));
  for (const kind of Array.from(kinds).filter(isPartKind)) errors.set(kind, await partDelta(spliced, runs, at, kind));
  const whole =
    kinds.has("site") || kinds.has("head")
      ? tf.tidy(() => siteDelta(runs.clean.site(at), donorSite(runs, at)))
      : undefined;
  const bySite = whole === undefined ? [] : await magnitudes(whole, 1);
  const byHead = whole === undefined || !kinds.has("head") ? [] : await magnitudes(whole, spliced.model.config.nHeads);
  const changeOf = (node: Node): Float32Array | undefined => {
    switch (node.kind) {
      case "feature":
        return features?.changes.get(node.feature);
      case "error":
      case "error_linear":
      case "error_nonlinear":
        return errors.get(node.kind)?.magnitudes;
      case "site":
        return bySite[0];
      case "head":
        return byHead[node.head];
      case "neuron":
        return undefined; // Of a site of its own.
      default:
        return unreachable(node);
    }
  };
  for (const [slot, node] of slots) changes.set(slot, must(changeOf(node), "changes of the node"));
  return { whole, errors, features };
}

/** Adds the changes of a layer's neurons by row; nothing else of them is kept on the device. */
async function neuronDeltas(
  { model }: SplicedModel,
  runs: UnpatchedRuns,
  { layer }: SiteAt,
  slots: ReadonlyMap<number, Node>,
  changes: Map<number, Float32Array>,
): Promise<SiteDeltas> {
  const named = [...new Set(Array.from(slots.values(), neuronOf))];
  const byNeuron = await neuronChanges(model, runs, layer, named);
  for (const [slot, node] of slots) changes.set(slot, must(byNeuron.get(neuronOf(node)), "changes of the neuron"));
  return { whole: undefined, errors: new Map(), features: undefined };
}

function neuronOf(node: Node): number {
  return must(indexOf(node, "neuron"), "neuron");
}

/** What rows of one kind at one site add, `[R, d]`. */
function patchOf(
  rows: readonly Carried[],
  sites: ReadonlyMap<string, SiteDeltas>,
  changes: ReadonlyMap<number, Float32Array>,
  { model, clean }: { readonly model: Model; readonly clean: Run },
): Tensor {
  const { node } = must(rows[0], "row").row;
  const hook = siteHook(node);
  const { whole, errors, features } = must(sites.get(hook), `deltas of ${hook}`);
  const flat = carriedRows(rows, clean.frame.T);
  const gathered = (delta_RD: Tensor | undefined): Tensor =>
    tf.gather(must(delta_RD, `deltas of ${hook}`), tf.tensor1d(flat, "int32"));
  switch (node.kind) {
    case "feature": {
      const change = changesOf(rows, flat, changes);
      return tf.mul(tf.tensor2d(change, [change.length, 1]), directions(must(features, `features of ${hook}`), rows));
    }
    case "error":
    case "error_linear":
    case "error_nonlinear":
      return gathered(errors.get(node.kind)?.delta_RD);
    case "site":
      return gathered(whole);
    case "head":
      return headSlices(gathered(whole), rows, model.config);
    case "neuron":
      return neuronPatch({ model, clean, layer: node.layer }, flat, {
        neurons: eachCarried(rows, ({ node: patched }) => neuronOf(patched)),
        changes: changesOf(rows, flat, changes),
      });
    default:
      return unreachable(node);
  }
}

/** How much each carried position's node changes there. @param flat - where these lie in a table of whole prompts. */
function changesOf(
  rows: readonly Carried[],
  flat: Int32Array,
  changes: ReadonlyMap<number, Float32Array>,
): Float32Array {
  const slots = eachCarried(rows, ({ slot }) => slot);
  return Float32Array.from(flat, (at, i) => must(must(changes.get(must(slots[i], "slot")), "slot")[at], "change"));
}

/** Decoder rows of the features that rows patch, `[R, d]`. */
function directions({ decoder_ND, rowOf }: FeatureChanges, rows: readonly Carried[]): Tensor {
  const index = eachCarried(rows, ({ node }) =>
    must(node.kind === "feature" ? rowOf.get(node.feature) : undefined, "decoder row"),
  );
  return tf.gather(decoder_ND, tf.tensor1d(index, "int32"));
}

/** The heads that rows patch out of whole attn_z activations, 0 elsewhere, `[R, d]`. */
function headSlices(whole_RD: Tensor, rows: readonly Carried[], { nHeads: N, headDim: H }: ModelConfig): Tensor {
  const heads = eachCarried(rows, ({ node }) => must(node.kind === "head" ? node.head : undefined, "head"));
  // Built here: on wasm tf.oneHot writes the bits of integers whatever the type it is asked for.
  const chosen = Float32Array.from({ length: heads.length * N }, (_, i) =>
    i % N === heads[Math.floor(i / N)] ? 1 : 0,
  );
  const split = tf.reshape(whole_RD, [heads.length, N, H]);
  return tf.reshape(tf.mul(split, tf.tensor3d(chosen, [heads.length, N, 1])), [heads.length, N * H]);
}
