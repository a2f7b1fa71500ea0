/** @file Sites of the model, their SAE nodes, and the TransformerLens/SAELens hook names that identify both. */
import { assert } from "../base/assert.js";

/** The three sites of a layer, in the order the forward pass reaches them. */
export const SITES = ["attn_z", "mlp_out", "resid_post"] as const;

/** `attn_z`: concatenated heads before o_proj; `mlp_out`: what the MLP adds; `resid_post`: the layer's output. */
export type Site = (typeof SITES)[number];

/** Kinds of node: an SAE feature, an SAE error, a whole site (no SAE), one attention head of attn_z. */
export const NODE_KINDS = ["feature", "error", "site", "head"] as const;
export type NodeKind = (typeof NODE_KINDS)[number];

const SITE_TO_TAIL = { attn_z: "attn.hook_z", mlp_out: "hook_mlp_out", resid_post: "hook_resid_post" } as const;
const KIND_TO_TAIL = { feature: ".hook_sae_acts_post", error: ".hook_sae_error", site: "", head: ".heads" } as const;

const NODE_HOOK =
  /^blocks\.(\d{1,4})\.(attn\.hook_z|hook_mlp_out|hook_resid_post)(\.hook_sae_acts_post|\.hook_sae_error|\.heads)?$/;

/** One site of one layer: where an SAE sits. */
export interface SiteAt {
  readonly site: Site;
  readonly layer: number;
}

/** Public name of a site: `blocks.3.attn.hook_z`. */
export function siteHook({ site, layer }: SiteAt): string {
  return `blocks.${String(layer)}.${SITE_TO_TAIL[site]}`;
}

/** Public name of all nodes of one kind at a site: `blocks.3.hook_mlp_out.hook_sae_error`. */
export function nodeHook(at: SiteAt, kind: NodeKind): string {
  return nodeHookAt(siteHook(at), kind);
}

/** The same where only the site's public name is at hand. */
export function nodeHookAt(hook: string, kind: NodeKind): string {
  return hook + KIND_TO_TAIL[kind];
}

/** Reads a node hook back; undefined where the text is not one. A plain site hook reads as kind `site`. */
export function parseNodeHook(hook: string): (SiteAt & { readonly kind: NodeKind }) | undefined {
  const match = NODE_HOOK.exec(hook);
  if (match === null) return undefined;
  const site = SITES.find((name) => SITE_TO_TAIL[name] === match[2]);
  const kind = NODE_KINDS.find((name) => KIND_TO_TAIL[name] === (match[3] ?? ""));
  assert(site !== undefined && kind !== undefined, `hook pattern and tables disagree on ${hook}`);
  return { site, layer: Number(match[1]), kind };
}

/** Every site of every layer, in forward order. */
export function allSites(nLayers: number): SiteAt[] {
  return Array.from({ length: nLayers }, (_, layer) => SITES.map((site) => ({ site, layer }))).flat();
}
