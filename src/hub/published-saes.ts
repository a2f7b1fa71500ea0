/**
 * @file By which names other tools know an SAE that came from a hub: SAELens' release and id, and Neuronpedia's page.
 *
 * Nothing is claimed of repositories of other owners, of revisions but `main` (which is what SAELens reads), and of widths and
 * folders that are not known.
 */
import { basename, dirname } from "node:path";
import { siteHook, type SaeSiteAt, type SaeSiteName } from "../nodes/site.js";
import { listGemmaScopeFiles } from "../weights/gemma-scope.js";
import { listGemmaScope2Files } from "../weights/gemma-scope-2.js";
import { GEMMA_SCOPE, GEMMA_SCOPE_2, SCOPE_OWNER, type SiteName } from "./gemma-scope-names.js";
import type { PublishedSae } from "./published-sae.js";
import type { HubSnapshot } from "./snapshot.js";

/** What SAELens and Neuronpedia call sites. */
const SITE_NAMES: Readonly<Record<SaeSiteName, SiteName>> = { attn_z: "att", mlp_out: "mlp", resid_post: "res" };
const SCOPE_FOLDER = /^layer_(\d+)\/width_(\w+)\/average_l0_(\d+)$/;
const SCOPE_2_FOLDER = /^(?:resid_post|attn_out|mlp_out)(_all)?\/(layer_(\d+)_width_(\d+[km])_l0_(small|medium|big))$/;
/** What Gemma Scope 2 has in every layer, in the folders that end in `_all`. */
const ALL_LAYERS = { widths: ["16k", "262k"], sizes: ["small", "big"] };

/** An SAE with its place and its size. */
type SizedSae = SaeSiteAt & { readonly width: number };

/** Names of the SAEs that were chosen from repositories, by site, layer and width. */
export function publishedSaes(snapshots: readonly HubSnapshot[]): (sae: SizedSae) => PublishedSae | undefined {
  const names = new Map<string, PublishedSae>();
  for (const { repo, revision, files } of snapshots) {
    if (revision !== "main") continue;
    const paths = files.map(({ path }) => path);
    for (const sae of [...listGemmaScopeFiles(basename(repo), paths), ...listGemmaScope2Files(paths)]) {
      const name = publishedSae(repo, sae.site, dirname(sae.path));
      if (name !== undefined) names.set(keyOf(sae), name);
    }
  }
  return (sae) => names.get(keyOf(sae));
}

function keyOf(sae: SizedSae): string {
  return `${siteHook(sae)} ${String(sae.width)}`;
}

/** Names of the SAE in a folder of a repository's `main`; undefined where none is known. */
function publishedSae(repo: string, site: SaeSiteName, folder: string): PublishedSae | undefined {
  const [owner, name = ""] = repo.split("/");
  if (owner !== SCOPE_OWNER) return undefined;
  return ofScope(name, site, folder) ?? ofScope2(name, site, folder);
}

function ofScope(name: string, site: SaeSiteName, folder: string): PublishedSae | undefined {
  const [, layer, width = "", l0 = ""] = SCOPE_FOLDER.exec(folder) ?? [];
  const { model, pages } = GEMMA_SCOPE.get(name) ?? {};
  const listed = pages?.[width];
  if (layer === undefined || listed === undefined) return undefined;
  const page = `${model ?? ""}/${layer}-gemmascope-${SITE_NAMES[site]}-${width}`;
  const has = (mark: string): boolean => listed.split(/\s+/).includes(`${layer}${mark}${l0}`);
  const neuronpediaId = has(":") ? page : has("+") ? `${page}__l0-${l0}` : null;
  return { release: name, saeId: folder, neuronpediaId };
}

function ofScope2(name: string, site: SaeSiteName, folder: string): PublishedSae | undefined {
  const [, all, saeId, layer = "", width = "", size = ""] = SCOPE_2_FOLDER.exec(folder) ?? [];
  const repo = GEMMA_SCOPE_2.get(name);
  const short = SITE_NAMES[site];
  const widths = repo?.widths[short];
  if (repo === undefined || widths === undefined || saeId === undefined) return undefined;
  if (all !== undefined) {
    const isKnown = ALL_LAYERS.widths.includes(width) && ALL_LAYERS.sizes.includes(size);
    return isKnown ? { release: `${name}-${short}-all`, saeId, neuronpediaId: null } : undefined;
  }
  if (!widths.includes(width) || !repo.layers.includes(Number(layer))) return undefined;
  const hasPage = site === "resid_post" && size === "medium" && repo.pages.includes(width);
  const neuronpediaId = hasPage ? `${repo.model}/${layer}-gemmascope-2-${short}-${width}` : null;
  return { release: `${name}-${short}`, saeId, neuronpediaId };
}
