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
import type { Node } from "../nodes/node.js";
import { siteHook, type SiteAt } from "../nodes/site.js";
import { readAndDispose } from "../model/read-tensor.js";
import { withScope } from "../model/tensor-scope.js";
import { encodeSome } from "../sae/sae.js";
import { laterRows, padRows, wholeRow } from "./later-positions.js";
import { nodeChanges, siteDelta } from "./site-scores.js";
import type { SplicedModel } from "./spliced-model.js";
import type { ErrorDelta, UnpatchedRuns } from "./unpatched-runs.js";

/** Everything that patches need, for one block of prompts; a row is `prompt * T + position`. */
export interface Deltas {
  /**
   * How a slot's activation differs in a row: for a feature its change, for other kinds the largest magnitude of a change.
   * 0 exactly where nothing differs.
   */
  readonly change: (slot: number, row: number) => number;
  /** Deltas of whole sites or of errors, `[R, d]`. Owner: this object or the runs. */
  rows(at: SiteAt, kind: "site" | "error"): Tensor;
  /** Decoder rows of features, `[features.length, d]`. Owner: caller. */
  directions(at: SiteAt, features: Int32Array): Tensor;
  dispose(): void;
}

/** Deltas of one site on the device; undefined where no node needs them. */
interface SiteDeltas {
  readonly site: Tensor | undefined;
  /** Kept with the runs. */
  readonly error: Tensor | undefined;
  readonly directions: Directions | undefined;
}

/** Decoder rows of the features that slots name: the SAE itself need not stay on the device. */
interface Directions {
  readonly decoder_ND: Tensor;
  /** Row of each feature. */
  readonly rowOf: ReadonlyMap<number, number>;
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
    for (const { site, directions } of sites.values())
      tf.dispose([site, directions?.decoder_ND].filter((one) => one !== undefined));
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

/** Whether a slot's delta is encoded. The SAEs of sites where none is are not read. */
function needsSae(slots: ReadonlyMap<number, Node>, errorIsKept: boolean): boolean {
  return Array.from(slots.values()).some(({ kind }) => kind === "feature" || (kind === "error" && !errorIsKept));
}

/** Deltas of one site; adds each slot's changes by row. */
async function siteDeltas(
  spliced: SplicedModel,
  runs: UnpatchedRuns,
  at: SiteAt,
  slots: ReadonlyMap<number, Node>,
  changes: Map<number, Float32Array>,
): Promise<SiteDeltas> {
  const kinds = new Set(Array.from(slots.values(), ({ kind }) => kind));
  const [x_RD, y_RD] = [runs.clean.site(at), runs.corrupted.site(at)];
  const heads = spliced.model.config.nHeads;
  const coded = kinds.has("feature") ? await featureChanges(spliced, runs, at, [...slots.values()]) : undefined;
  const error = kinds.has("error") ? await errorDelta(spliced, runs, at) : undefined;
  const whole = kinds.has("site") || kinds.has("head") ? tf.tidy(() => siteDelta(x_RD, y_RD)) : undefined;
  const bySite = whole === undefined ? [] : await magnitudes(whole, 1);
  const byHead = whole === undefined || !kinds.has("head") ? [] : await magnitudes(whole, heads);
  for (const [slot, { kind, feature, head }] of slots) {
    const of = { feature: coded?.changes.get(feature), error: error?.magnitudes, site: bySite[0], head: byHead[head] };
    changes.set(slot, must(of[kind], "changes of the node"));
  }
  return { site: whole, error: error?.delta_RD, directions: coded?.directions };
}

/** How the site's error changes, encoded from the first position on that differs. Owner: the runs, which keep it. */
async function errorDelta(spliced: SplicedModel, runs: UnpatchedRuns, at: SiteAt): Promise<ErrorDelta> {
  const hook = siteHook(at);
  const { clean, corrupted, first, errorDeltas } = runs;
  const { batch } = clean.frame;
  const computed =
    errorDeltas.get(hook) ??
    (await spliced.withSae(at, async (sae) =>
      withScope(async (own) => {
        const [x_RD, y_RD] = [clean, corrupted].map((run) => own(laterRows(run.site(at), batch, first))) as [
          Tensor,
          Tensor,
        ];
        const { error_RD } = await nodeChanges(must(sae, `the SAE of ${hook}`), x_RD, y_RD);
        const delta_RD = padRows(own(error_RD), batch, first);
        return { delta_RD, magnitudes: must((await magnitudes(delta_RD, 1))[0], "magnitudes") };
      }),
    ));
  errorDeltas.set(hook, computed);
  return computed;
}

/** Changes by row of the features that nodes name, and where they point: no other feature is encoded. Owner: caller. */
async function featureChanges(
  spliced: SplicedModel,
  { clean, corrupted, first }: UnpatchedRuns,
  at: SiteAt,
  nodes: readonly Node[],
): Promise<{ readonly changes: ReadonlyMap<number, Float32Array>; readonly directions: Directions }> {
  const { batch, T } = clean.frame;
  const features = [...new Set(nodes.filter(({ kind }) => kind === "feature").map(({ feature }) => feature))];
  return await spliced.withSae(at, async (given) => {
    const sae = must(given, `the SAE of ${siteHook(at)}`);
    const change_NR = tf.tidy(() => {
      const index = tf.tensor1d(features, "int32");
      const [f_RN, g_RN] = [clean, corrupted].map((run) =>
        encodeSome(sae, index, laterRows(run.site(at), batch, first)),
      ) as [Tensor, Tensor];
      return tf.transpose(tf.sub(g_RN, f_RN));
    });
    const values = await readAndDispose(change_NR);
    const later = batch * (T - first);
    const changes = new Map<number, Float32Array>();
    for (const [n, feature] of features.entries()) {
      const byRow = new Float32Array(batch * T);
      for (let r = 0; r < later; r++) byRow[wholeRow(r, T, first)] = must(values[n * later + r], "change");
      changes.set(feature, byRow);
    }
    const decoder_ND = tf.tidy(() => tf.gather(sae.W_dec_FD, tf.tensor1d(features, "int32")));
    return { changes, directions: { decoder_ND, rowOf: new Map(features.map((feature, row) => [feature, row])) } };
  });
}

/** Largest magnitude by row of each of `parts` equal parts of the columns. */
async function magnitudes(delta_RD: Tensor, parts: number): Promise<Float32Array[]> {
  const [rows = 0, D = 0] = delta_RD.shape;
  const largest = await readAndDispose(
    tf.tidy(() => tf.transpose(tf.max(tf.abs(tf.reshape(delta_RD, [rows, parts, D / parts])), 2))),
  );
  return Array.from({ length: parts }, (_, part) => largest.subarray(part * rows, (part + 1) * rows));
}
