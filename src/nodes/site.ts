/** @file Sites of the model, and the TransformerLens hook names that identify them. */
import { assert } from "../base/assert.js";

/** The three sites of a layer, in the order the forward pass reaches them. */
export const SITES = ["attn_z", "mlp_out", "resid_post"] as const;

/** `attn_z`: concatenated heads before o_proj; `mlp_out`: what the MLP adds; `resid_post`: the layer's output. */
export type Site = (typeof SITES)[number];

const SITE_TO_TAIL = {
  attn_z: "attn.hook_z",
  mlp_out: "hook_mlp_out",
  resid_post: "hook_resid_post",
} as const satisfies Record<Site, string>;

const TAILS = SITES.map((site) => SITE_TO_TAIL[site].replaceAll(".", "\\."));
const SITE_HOOK = new RegExp(`^blocks\\.(\\d{1,4})\\.(${TAILS.join("|")})`);

/** One site of one layer: where an SAE sits. */
export interface SiteAt {
  readonly site: Site;
  readonly layer: number;
}

/** Public name of a site: `blocks.3.attn.hook_z`. */
export function siteHook({ site, layer }: SiteAt): string {
  return `blocks.${String(layer)}.${SITE_TO_TAIL[site]}`;
}

/** Reads the site at the beginning of a hook, and what follows; undefined where the text begins with none. */
export function parseSiteHook(hook: string): (SiteAt & { readonly rest: string }) | undefined {
  const match = SITE_HOOK.exec(hook);
  if (match === null) return undefined;
  const site = SITES.find((name) => SITE_TO_TAIL[name] === match[2]);
  assert(site !== undefined, `hook pattern and table disagree on ${hook}`);
  return { site, layer: Number(match[1]), rest: hook.slice(match[0].length) };
}

/** Every site of every layer, in forward order. */
export function allSites(nLayers: number): SiteAt[] {
  return Array.from({ length: nLayers }, (_, layer) => SITES.map((site) => ({ site, layer }))).flat();
}
