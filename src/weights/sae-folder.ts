/**
 * @file Finds the SAEs of a model in a folder, one for each site and layer, and opens their files.
 *
 * 1. List what the folder holds, in Gemma Scope's, Gemma Scope 2's or SAELens' layout.
 * 2. Keep the sites and the width that were asked for.
 * 3. For each site and layer take the L0 closest to the one asked for.
 * 4. Check every array's shape against the model, from headers alone.
 */
import { badInput } from "../base/errors.js";
import { canonicalJson, sha256 } from "../base/hash.js";
import { type ModelConfig, siteWidth } from "../families/family.js";
import { parseSiteHook, siteHook, SAE_SITES, type SaeSiteName, type SaeSiteAt } from "../nodes/site.js";
import { sha256OfFile } from "./byte-file.js";
import { listGemmaScope, parseWidth } from "./gemma-scope.js";
import { listGemmaScope2 } from "./gemma-scope-2.js";
import { shapeText } from "./named-array.js";
import { openNpz } from "./npz.js";
import type { SaeCandidate } from "./sae-candidate.js";
import { listSaelens } from "./saelens.js";
import { openSafetensors } from "./safetensors.js";
import type { StoredArray } from "./stored-array.js";

/** "Canonical" SAEs are those whose L0 is closest to this. */
const CANONICAL_L0 = 100;

/** A value for SAEs: one for all, or several by the name of a site, or by the hook of one layer's site, which goes before. */
export type BySite<Value extends string | number> = Value | Readonly<Record<string, Value>>;

/** Which of a folder's SAEs to take. */
export interface SaeOptions {
  /** Number of features, or its label: 16384 or "16k". Needed where the folder has several. */
  readonly width?: BySite<string | number>;
  /** The L0 to be closest to; ties go to the smaller. `canonical` is 100, and so is what no name says. */
  readonly l0?: BySite<string | number>;
  readonly sites?: readonly SaeSiteName[];
  /** All that have SAEs, where absent. */
  readonly layers?: readonly number[];
}

/** An SAE that fits the model. */
export interface SaeEntry extends SaeCandidate {
  /** Width of the site's activation. */
  readonly dIn: number;
  /** Number of features. */
  readonly dSae: number;
}

/** The weights of a JumpReLU SAE, row-major. Source: arXiv 2407.14435, section 3. */
export interface SaeWeights {
  readonly dIn: number;
  readonly dSae: number;
  /** `[dIn, dSae]`. */
  readonly W_enc: Float32Array;
  /** `[dSae, dIn]`. */
  readonly W_dec: Float32Array;
  /** `[dSae]`. */
  readonly b_enc: Float32Array;
  /** `[dIn]`. */
  readonly b_dec: Float32Array;
  /** `[dSae]`; a feature fires where its pre-activation is above this and above 0. */
  readonly threshold: Float32Array;
}

/** The open file of an SAE: what the weight formats have in common. */
export interface SaeFile {
  shapeOf(name: string): Promise<readonly number[] | undefined>;
  /** An array before it is read. */
  array(name: string): Promise<StoredArray>;
  read(name: string): Promise<Float32Array>;
}

/**
 * Finds one SAE for each site and layer that has any, in forward order.
 * @throws PatchbayError `bad_input` when there is none, when the choice is ambiguous, or when one does not fit the model.
 */
export async function findSaes(folder: string, config: ModelConfig, options: SaeOptions = {}): Promise<SaeEntry[]> {
  const present = [...listGemmaScope(folder), ...listGemmaScope2(folder), ...listSaelens(folder)];
  checkLayers(present, config);
  const entries: SaeEntry[] = [];
  for (const chosen of chooseSaes(folder, present, options)) entries.push(await checkShapes(chosen, config));
  return entries;
}

/**
 * Of the SAEs that are present, the one for each site and layer that the options mean, in forward order.
 * @param where - folder or repository, for errors.
 * @throws PatchbayError `bad_input` when there is none, or when the choice is ambiguous.
 */
export function chooseSaes(where: string, present: readonly SaeCandidate[], options: SaeOptions): SaeCandidate[] {
  const { sites = SAE_SITES, layers } = options;
  const asked = present.filter(({ site, layer }) => sites.includes(site) && (layers?.includes(layer) ?? true));
  if (asked.length === 0) {
    throw badInput(
      "expected SAEs as <resid|mlp|att>/layer_<i>/width_<w>/average_l0_<n>/params.npz or in folders with cfg.json, got none" +
        (options.sites === undefined ? "" : ` at ${options.sites.join(", ")}`) +
        (layers === undefined ? "" : ` in layers ${layers.join(", ")}`),
      { file: where },
    );
  }
  checkHooks(where, asked, options);
  const groups = groupBySite(ofWidth(where, asked, options.width));
  const missing = options.sites?.find((site) => !groups.some(([first]) => first?.site === site));
  if (missing !== undefined) throw badInput(`expected SAEs at ${missing}, got none`, { file: where, field: "sites" });
  const absent = layers?.find((layer) => !groups.some(([first]) => first?.layer === layer));
  if (absent !== undefined)
    throw badInput(`expected SAEs in layer ${absent}, got none`, { file: where, field: "layers" });
  return groups.map((group) => closest(group, targetL0(group, options.l0)));
}

/** The L0 that a site's SAE is to be closest to. */
function targetL0([first]: readonly SaeCandidate[], l0: SaeOptions["l0"]): number {
  const target = first === undefined ? undefined : valueAt(l0, first);
  return typeof target === "number" ? target : CANONICAL_L0;
}

/** The value that is for a site of a layer. */
function valueAt<Value extends string | number>(values: BySite<Value> | undefined, at: SaeSiteAt): Value | undefined {
  if (typeof values !== "object") return values;
  return values[siteHook(at)] ?? values[at.site];
}

/** Whether an SAE has the width that was asked for, where one was. */
export function isOfWidth(sae: SaeSiteAt & { readonly width: number }, asked: SaeOptions["width"]): boolean {
  const width = valueAt(asked, sae);
  return width === undefined || sae.width === parseWidth(String(width));
}

/** Hooks that are named have SAEs, unless all of their site lie in another repository. */
function checkHooks(where: string, asked: readonly SaeCandidate[], { width, l0 }: SaeOptions): void {
  for (const [field, values] of Object.entries({ width, l0 })) {
    for (const key of typeof values === "object" ? Object.keys(values) : []) {
      const at = parseSiteHook(key);
      const ofSite = at === undefined ? [] : asked.filter(({ site }) => site === at.site);
      if (ofSite.length > 0 && ofSite.every(({ layer }) => layer !== at?.layer))
        throw badInput(`expected an SAE at ${key}, got none`, { file: where, field });
    }
  }
}

/** SHA-256 over the SAEs' sites and weight files, wherever these lie. */
export async function fingerprintSaes(entries: readonly SaeEntry[]): Promise<string> {
  const hashes: Record<string, string> = {};
  for (const entry of entries) hashes[siteHook(entry)] = await sha256OfFile(entry.path);
  return sha256(canonicalJson(hashes));
}

function checkLayers(candidates: readonly SaeCandidate[], { nLayers }: ModelConfig): void {
  const beyond = candidates.find(({ layer }) => layer >= nLayers);
  if (beyond === undefined) return;
  throw badInput(`expected a layer below ${nLayers}, got ${beyond.layer}; these SAEs belong to another model`, {
    file: beyond.path,
  });
}

/** The candidates of the width asked for; without one, all, if no site has several. */
function ofWidth(folder: string, candidates: readonly SaeCandidate[], asked: SaeOptions["width"]): SaeCandidate[] {
  const where = { file: folder, field: "width" };
  const widthsOf = (some: readonly SaeCandidate[]): string =>
    [...new Set(some.map(({ width }) => width))].sort((a, b) => a - b).join(", ");
  const widths = widthsOf(candidates);
  const found = candidates.filter((candidate) => isOfWidth(candidate, asked));
  if (asked !== undefined && typeof asked !== "object" && found.length === 0)
    throw badInput(`expected one of ${widths}, got ${asked}`, where);
  // A width for all leaves out what has it nowhere; one for a site is meant for each SAE of it.
  for (const group of typeof asked === "object" ? groupBySite(candidates) : []) {
    const [first] = group;
    if (first === undefined || group.some((candidate) => isOfWidth(candidate, asked))) continue;
    throw badInput(
      `expected one of ${widthsOf(group)} for ${siteHook(first)}, got ${String(valueAt(asked, first))}`,
      where,
    );
  }
  const ambiguous = groupBySite(found).find((group) => new Set(group.map(({ width }) => width)).size > 1);
  if (ambiguous !== undefined) {
    throw badInput(
      `expected a choice, because there are SAEs of several widths: ${widths}; set saes.width (fetch: --width)`,
      where,
    );
  }
  return found;
}

/** Candidates of one site and layer together, in forward order. */
function groupBySite(candidates: readonly SaeCandidate[]): SaeCandidate[][] {
  const order = ({ site, layer }: SaeSiteAt): number => layer * SAE_SITES.length + SAE_SITES.indexOf(site);
  const groups = new Map<number, SaeCandidate[]>();
  for (const candidate of candidates) {
    const group = groups.get(order(candidate));
    if (group === undefined) groups.set(order(candidate), [candidate]);
    else group.push(candidate);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

/** The candidate whose L0 is closest to `target`, ties to the smaller. */
function closest(group: readonly SaeCandidate[], target: number): SaeCandidate {
  const distance = ({ l0 }: SaeCandidate): number => (l0 === null ? 0 : Math.abs(l0 - target));
  const inOrder = [...group].sort((a, b) => distance(a) - distance(b) || (a.l0 ?? 0) - (b.l0 ?? 0));
  const [best, next] = inOrder as [SaeCandidate, SaeCandidate?];
  if (next !== undefined && (best.l0 === next.l0 || group.some(({ l0 }) => l0 === null))) {
    throw badInput(`expected one SAE for ${siteHook(best)}, got this and ${next.path}; keep one of them`, {
      file: best.path,
    });
  }
  return best;
}

async function checkShapes(candidate: SaeCandidate, config: ModelConfig): Promise<SaeEntry> {
  const dIn = siteWidth(candidate, config);
  const dSae = candidate.width;
  const expected = { W_enc: [dIn, dSae], W_dec: [dSae, dIn], b_enc: [dSae], b_dec: [dIn], threshold: [dSae] };
  await withSaeFile(candidate, async (file) => {
    for (const [name, shape] of Object.entries(expected)) {
      const got = await file.shapeOf(name);
      if (got !== undefined && shapeText(got) === shapeText(shape)) continue;
      const found = got === undefined ? "no such array" : `${shapeText(got)}; does this SAE belong to this model?`;
      throw badInput(`expected shape ${shapeText(shape)} at ${siteHook(candidate)}, got ${found}`, {
        file: candidate.path,
        field: name,
      });
    }
  });
  return { ...candidate, dIn, dSae };
}

/**
 * Runs `use` on the open file of an SAE.
 * @throws PatchbayError `bad_input` when it is damaged.
 */
export async function withSaeFile<T>({ layout, path }: SaeCandidate, use: (file: SaeFile) => Promise<T>): Promise<T> {
  const file = layout === "gemma-scope" ? await openNpz(path) : await openSaeTensors(path, layout);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function openSaeTensors(
  path: string,
  layout: SaeCandidate["layout"],
): Promise<SaeFile & { close(): Promise<void> }> {
  const file = await openSafetensors(path);
  const spell = (name: string): string => (layout === "gemma-scope-2" ? name.toLowerCase() : name);
  return {
    shapeOf: (name) => Promise.resolve(file.tensors.get(spell(name))?.shape),
    array: (name) => Promise.resolve(file.array(spell(name))),
    read: (name) => file.readFloats(spell(name)),
    close: () => file.close(),
  };
}
