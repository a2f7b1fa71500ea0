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
import { GLOBAL_POSITION, type Node } from "../circuit/node.js";
import { siteHook, type SiteAt } from "../circuit/site.js";
import { encode, errorOf, type Sae } from "../sae/sae.js";
import type { SplicedModel } from "./spliced-model.js";
import { siteOf, type UnpatchedRun } from "./truth-runs.js";

/** Deltas at one site, row `prompt * T + position`. Owner of the tensors: the {@link Deltas}. */
interface SiteDeltas {
  readonly sae: Sae | undefined;
  readonly site_RD: Tensor | undefined;
  readonly error_RD: Tensor | undefined;
}

/** Everything that patches need, for one block of prompts. */
export interface Deltas {
  /** Whether the slot's activation differs at a position. */
  readonly differs: (slot: number, prompt: number, position: number) => boolean;
  /** `f_corr - f_clean` of a feature slot. */
  coefficient(slot: number, prompt: number, position: number): number;
  /** Deltas of whole sites or of errors, `[R, d]`. Owner: this object. */
  rows(at: SiteAt, kind: "site" | "error"): Tensor;
  sae(at: SiteAt): Sae;
  dispose(): void;
}

/** What deltas are made of. */
export interface DeltaInputs {
  readonly spliced: SplicedModel;
  readonly clean: UnpatchedRun;
  readonly corrupted: UnpatchedRun;
  readonly nodes: readonly (Node | null)[];
  readonly prompts: number;
  readonly positions: number;
}

/** Computes the deltas of every site that a node names. Owner: caller. */
export async function computeDeltas(inputs: DeltaInputs): Promise<Deltas> {
  const { nodes, positions: T } = inputs;
  const bySite = new Map<string, number[]>();
  for (const [slot, node] of nodes.entries()) {
    if (node === null) continue;
    const slots = bySite.get(siteHook(node));
    if (slots === undefined) bySite.set(siteHook(node), [slot]);
    else slots.push(slot);
  }
  const sites = new Map<string, SiteDeltas>();
  const values = new Map<number, Float32Array>();
  for (const [hook, slots] of bySite) {
    const at = must(nodes[must(slots[0], "slot")], "node");
    sites.set(hook, await siteDeltas(inputs, at, slots, values));
  }
  const value = (slot: number, prompt: number, position: number): number => {
    const row = must(values.get(slot), "slot");
    return must(row.length === inputs.prompts ? row[prompt] : row[prompt * T + position], "delta");
  };
  return {
    differs: (slot, prompt, position) => value(slot, prompt, position) !== 0,
    coefficient: value,
    rows: (at, kind) => must(sites.get(siteHook(at))?.[kind === "site" ? "site_RD" : "error_RD"], "deltas of the site"),
    sae: (at) => must(sites.get(siteHook(at))?.sae, "SAE of the site"),
    dispose: () => {
      for (const { site_RD, error_RD } of sites.values())
        tf.dispose([site_RD, error_RD].filter((one) => one !== undefined));
    },
  };
}

/**
 * Deltas of one site. For each slot `values` gets one number per prompt (one per prompt and position for all positions at
 * once): a feature's difference, or for other kinds the largest magnitude, which is 0 exactly where nothing differs.
 */
async function siteDeltas(
  { spliced, clean, corrupted, nodes, prompts, positions }: DeltaInputs,
  at: SiteAt,
  slots: readonly number[],
  values: Map<number, Float32Array>,
): Promise<SiteDeltas> {
  const kinds = new Set(slots.map((slot) => must(nodes[slot], "node").kind));
  const sae = spliced.sae(at);
  const x_RD = siteOf(clean, at);
  const y_RD = siteOf(corrupted, at);
  const needsSite = kinds.has("site") || kinds.has("head");
  const site_RD = needsSite ? tf.tidy(() => tf.sub(y_RD, x_RD)) : undefined;
  const coded =
    kinds.has("feature") || kinds.has("error")
      ? codedDeltas(must(sae, `the SAE of ${siteHook(at)}`), x_RD, y_RD)
      : undefined;
  const heads = kinds.has("head") ? spliced.model.config.nHeads : 0;
  const tables = {
    feature: {
      width: sae?.dSae ?? 0,
      of: coded === undefined || !kinds.has("feature") ? undefined : await coded.features_RF.data(),
    },
    error: { width: 1, of: coded === undefined ? undefined : await magnitudes(coded.error_RD, 1) },
    site: { width: 1, of: site_RD === undefined ? undefined : await magnitudes(site_RD, 1) },
    head: { width: heads, of: site_RD === undefined || heads === 0 ? undefined : await magnitudes(site_RD, heads) },
  };
  coded?.features_RF.dispose();
  for (const slot of slots) {
    const node = must(nodes[slot], "node");
    const { width, of } = tables[node.kind];
    const column = node.kind === "feature" ? node.feature : node.kind === "head" ? node.head : 0;
    values.set(
      slot,
      columnOf(must(of as Float32Array | undefined, "deltas"), width, column, node.position, prompts, positions),
    );
  }
  return { sae, site_RD, error_RD: coded?.error_RD };
}

function codedDeltas(sae: Sae, x_RD: Tensor, y_RD: Tensor): { features_RF: Tensor; error_RD: Tensor } {
  return tf.tidy(() => {
    const fx_RF = encode(sae, x_RD);
    const fy_RF = encode(sae, y_RD);
    return {
      features_RF: tf.sub(fy_RF, fx_RF),
      error_RD: tf.sub(errorOf(sae, y_RD, fy_RF), errorOf(sae, x_RD, fx_RF)),
    };
  });
}

/** Largest magnitude within each of `parts` equal parts of every row, `[R * parts]`. */
async function magnitudes(delta_RD: Tensor, parts: number): Promise<Float32Array> {
  const largest = tf.tidy(() => tf.max(tf.abs(tf.reshape(delta_RD, [-1, (delta_RD.shape[1] ?? 1) / parts])), 1));
  const values = (await largest.data()) as Float32Array;
  largest.dispose();
  return values;
}

/** One column of a `[R, width]` table: at a position one value per prompt, else at every row. */
function columnOf(
  table: Float32Array,
  width: number,
  column: number,
  position: number,
  prompts: number,
  positions: number,
): Float32Array {
  if (position === GLOBAL_POSITION)
    return Float32Array.from({ length: prompts * positions }, (_, row) => table[row * width + column] ?? NaN);
  if (position >= positions) return new Float32Array(prompts);
  return Float32Array.from(
    { length: prompts },
    (_, prompt) => table[(prompt * positions + position) * width + column] ?? NaN,
  );
}
