/** @file Writes an SAE in Gemma Scope's layout. */
import { join } from "node:path";
import type { SaeSiteName, SaeSiteAt } from "../nodes/site.js";
import { writeNpz } from "../weights/npz.js";
import type { SaeWeights } from "../weights/sae-folder.js";

const SITE_FOLDERS: Readonly<Record<SaeSiteName, string>> = { attn_z: "att", mlp_out: "mlp", resid_post: "resid" };

/** Writes `params.npz`. @returns its folder below `folder`: `<site folder>/layer_<i>/width_<w>/average_l0_<n>`. */
export async function writeSae(folder: string, at: SaeSiteAt, weights: SaeWeights, l0: number): Promise<string> {
  const { dIn, dSae } = weights;
  const layer = `${SITE_FOLDERS[at.site]}/layer_${at.layer}`;
  const place = `${layer}/width_${dSae}/average_l0_${Math.round(l0)}`;
  const arrays = new Map([
    ["W_enc", { shape: [dIn, dSae], values: weights.W_enc }],
    ["W_dec", { shape: [dSae, dIn], values: weights.W_dec }],
    ["b_enc", { shape: [dSae], values: weights.b_enc }],
    ["b_dec", { shape: [dIn], values: weights.b_dec }],
    ["threshold", { shape: [dSae], values: weights.threshold }],
  ]);
  await writeNpz(join(folder, place, "params.npz"), arrays);
  return place;
}
