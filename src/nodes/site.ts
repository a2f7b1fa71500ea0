/** @file Sites of the model, and the TransformerLens hook names that identify them. */
import { assert } from "../base/assert.js";

/** The sites of a layer, in the order the forward pass reaches them. */
export const SITES = ["attn_z", "mlp_post", "mlp_out", "resid_post"] as const;

/**
 * `attn_z`: concatenated heads before o_proj; `mlp_post`: the MLP's neurons, before its down projection; `mlp_out`: what the MLP adds;
 * `resid_post`: the layer's output.
 */
export type Site = (typeof SITES)[number];

/** The sites where an SAE may sit. A run keeps their activations; neurons are computed again from them where they are asked for. */
export const SAE_SITES = ["attn_z", "mlp_out", "resid_post"] as const satisfies readonly Site[];

/** A site where an SAE may sit. */
export type SaeSiteName = (typeof SAE_SITES)[number];

const SITE_TO_TAIL = {
  attn_z: "attn.hook_z",
  mlp_post: "mlp.hook_post",
  mlp_out: "hook_mlp_out",
  resid_post: "hook_resid_post",
} as const satisfies Record<Site, string>;

const TAILS = SITES.map((site) => SITE_TO_TAIL[site].replaceAll(".", "\\."));
const SITE_HOOK = new RegExp(`^blocks\\.(\\d{1,4})\\.(${TAILS.join("|")})`);

/** One site of one layer. */
export interface SiteAt {
  readonly site: Site;
  readonly layer: number;
}

/** One where an SAE may sit. */
export interface SaeSiteAt extends SiteAt {
  readonly site: SaeSiteName;
}

/** Whether an SAE may sit at a site. */
export function isSaeSite(at: SiteAt): at is SaeSiteAt {
  return SAE_SITES.some((site) => site === at.site);
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

/** Every site of every layer where an SAE may sit, in forward order. */
export function saeSites(nLayers: number): SaeSiteAt[] {
  return sitesOfLayers(SAE_SITES, nLayers);
}

/** The given sites of every layer, in forward order. */
export function sitesOfLayers<Name extends Site>(
  sites: readonly Name[],
  nLayers: number,
): { readonly site: Name; readonly layer: number }[] {
  return Array.from({ length: nLayers }, (_, layer) => sites.map((site) => ({ site, layer }))).flat();
}
