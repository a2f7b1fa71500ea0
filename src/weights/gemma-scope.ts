/**
 * @file SAEs in Gemma Scope's folders: `<site folder>/layer_<i>/width_<w>/average_l0_<n>/params.npz`.
 * Source: Gemma Scope, arXiv 2408.05147, and the layout of its public repositories.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { badInput } from "../base/errors.js";
import type { SaeSiteName } from "../nodes/site.js";
import { subfolders, type SaeCandidate } from "./sae-candidate.js";

const SITE_OF_FOLDER = { resid: "resid_post", res: "resid_post", mlp: "mlp_out", att: "attn_z" } as const;
/** A plain site folder, or a repository's: `gemma-scope-2b-pt-res`. */
const SITE_FOLDER = /^(?:(resid|mlp|att)|.+-(res|mlp|att))$/;
const WEIGHTS_FILE = "params.npz";
const FILE = /^layer_(\d{1,4})\/width_([^/]+)\/average_l0_(\d{1,6})\/params\.npz$/;

/** Every Gemma Scope SAE of a folder. */
export function listGemmaScope(folder: string): SaeCandidate[] {
  return subfolders(folder).flatMap((name) => {
    const site = siteOfFolder(name);
    return site === undefined ? [] : listSite(join(folder, name), site);
  });
}

/** Every Gemma Scope SAE among the files of a repository; their `path` is the one in the repository. */
export function listGemmaScopeFiles(repository: string, paths: readonly string[]): SaeCandidate[] {
  const site = siteOfFolder(repository);
  if (site === undefined) return [];
  return paths.flatMap((path) => {
    const [, layer, label = "", l0] = FILE.exec(path) ?? [];
    const width = parseWidth(label);
    if (layer === undefined || width === undefined) return [];
    return [{ site, layer: Number(layer), layout: "gemma-scope", path, width, l0: Number(l0) }];
  });
}

function siteOfFolder(name: string): SaeSiteName | undefined {
  const [, plain, repository] = SITE_FOLDER.exec(name) ?? [];
  const key = (plain ?? repository) as keyof typeof SITE_OF_FOLDER | undefined;
  return key === undefined ? undefined : SITE_OF_FOLDER[key];
}

/**
 * Number of features that a width's label means: `128` is itself, `16k` is 16,384, `131k` is 131,072, `1m` is 1,048,576.
 * Labels drop digits of a power of two. Undefined where the label is none.
 */
export function parseWidth(label: string): number | undefined {
  const [, digits, unit] = /^(\d{1,9})([km]?)$/.exec(label) ?? [];
  if (digits === undefined) return undefined;
  if (unit === "") return Number(digits) > 0 ? Number(digits) : undefined;
  const scale = unit === "k" ? 1e3 : 1e6;
  return Array.from({ length: 30 }, (_, power) => 2 ** power).find(
    (width) => Math.floor(width / scale) === Number(digits),
  );
}

function listSite(siteFolder: string, site: SaeSiteName): SaeCandidate[] {
  return matching(siteFolder, /^layer_(\d{1,4})$/).flatMap(([layerFolder, layer]) =>
    matching(layerFolder, /^width_(.+)$/).flatMap(([widthFolder, label]) =>
      matching(widthFolder, /^average_l0_(\d{1,6})$/).map(([l0Folder, l0]): SaeCandidate => {
        const width = parseWidth(label);
        if (width === undefined)
          throw badInput("expected a name such as width_16k or width_16384", { file: widthFolder });
        const path = join(l0Folder, WEIGHTS_FILE);
        if (!existsSync(path)) throw badInput(`expected ${WEIGHTS_FILE} in it, got no such file`, { file: l0Folder });
        return { site, layer: Number(layer), layout: "gemma-scope", path, width, l0: Number(l0) };
      }),
    ),
  );
}

/** Subfolders whose name matches, with the part in brackets. */
function matching(folder: string, pattern: RegExp): [path: string, part: string][] {
  return subfolders(folder).flatMap((name) => {
    const part = pattern.exec(name)?.[1];
    return part === undefined ? [] : [[join(folder, name), part] as [string, string]];
  });
}
