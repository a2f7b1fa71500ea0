/** @file Options of `patchbay train-saes`: checked text to settings. */
import { basename, resolve } from "node:path";
import { badInput } from "../base/errors.js";
import { wholeNumber } from "../base/whole-number.js";
import { SAE_SITES, siteHook, type SaeSiteName, type SaeSiteAt } from "../nodes/site.js";
import { parseWidth } from "../weights/gemma-scope.js";
import { type ModelConfig, siteWidth } from "../families/family.js";
import type { SaeSettings } from "./train-saes.js";
import { CONTEXT } from "./training-text.js";

/** Options as written. */
export interface TrainSaesOptions {
  readonly model: string;
  readonly text: string;
  readonly width: string;
  readonly sites: string;
  readonly layers: string;
  readonly tokens: string;
  readonly l0: string;
  readonly seed: string;
  readonly buffer?: string;
  readonly checkpointSeconds: string;
  readonly out?: string;
  readonly backend: string;
  readonly json: boolean;
}

/** Memory of the buffer where none is asked for. */
const BUFFER_BYTES = 512 * 2 ** 20;
const MAX_BUFFER_ROWS = 65_536;
/** The order of all sequences is held in memory. */
const MAX_TOKENS = 1e9;
/** A zip archive, which an SAE is written as, holds less. */
const MAX_SAE_BYTES = 2 ** 32 - 2 ** 20;
const BLOCK_TOKENS = 2048;
const BATCH_ROWS = 256;

/** What no option changes. Found on Gemma 3 270M and on the tiny model. */
const TRAINING = {
  warmUpSteps: 20,
  // At 2e-3 features that were found are lost again: after 200,000 tokens FVU rises at the same L0.
  peakLearningRate: 5e-4,
  sparsity: 1e-3,
  steering: 0.015,
  deadPull: 1e-3,
  bandwidth: 0.05,
  initialThreshold: 0.01,
} as const;

/**
 * The settings that options mean for a model.
 * @throws PatchbayError `bad_input` naming the option.
 */
export function readSettings(options: TrainSaesOptions, config: ModelConfig): SaeSettings {
  const layers = parseLayers(options.layers, config.nLayers);
  const sites = parseSites(options.sites);
  const places = layers.flatMap((layer) => sites.map((site): SaeSiteAt => ({ site, layer })));
  const dSae = parseWidth(options.width);
  if (dSae === undefined) throw expected("--width", "a number of features such as 2048 or 16k", options.width);
  const widest = Math.max(...places.map((at) => siteWidth(at, config)));
  const most = Math.floor(MAX_SAE_BYTES / (8 * widest + 8));
  if (dSae > most) throw expected("--width", `at most ${most} features for these sites`, options.width);
  const bufferRows =
    options.buffer === undefined
      ? defaultBufferRows(places, config)
      : wholeNumber(options.buffer, "--buffer", CONTEXT, 10_000_000);
  return {
    sites: places,
    tokens: wholeNumber(options.tokens, "--tokens", 1, MAX_TOKENS),
    bufferRows,
    blockTokens: Math.min(BLOCK_TOKENS, bufferRows),
    batchRows: BATCH_ROWS,
    training: {
      ...TRAINING,
      dSae,
      seed: wholeNumber(options.seed, "--seed", 0, 2 ** 31),
      targetL0: number("--l0", options.l0, dSae),
    },
  };
}

/** The output folder. */
export function outputFolder({ out, model, width }: TrainSaesOptions): string {
  return resolve(out ?? `saes/${basename(resolve(model))}-${width}`);
}

/** Seconds from one checkpoint to the next. */
export function checkpointSeconds(options: TrainSaesOptions): number {
  return wholeNumber(options.checkpointSeconds, "--checkpoint-seconds", 0, 1e6);
}

function defaultBufferRows(sites: readonly SaeSiteAt[], config: ModelConfig): number {
  const rowBytes = sites.reduce((sum, at) => sum + 4 * siteWidth(at, config), 0);
  return Math.max(BLOCK_TOKENS, Math.min(MAX_BUFFER_ROWS, Math.floor(BUFFER_BYTES / rowBytes)));
}

/** `all`, or names with commas between them; in the order of the forward pass. */
function parseSites(text: string): readonly SaeSiteName[] {
  if (text === "all") return SAE_SITES;
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !SAE_SITES.some((site) => site === name));
  if (unknown !== undefined) throw expected("--sites", `all, or some of ${SAE_SITES.join(", ")}`, unknown);
  return SAE_SITES.filter((site) => names.includes(site));
}

/** `all`, or numbers and ranges with commas between them: `0,3,6-8`. */
function parseLayers(text: string, nLayers: number): number[] {
  const all = Array.from({ length: nLayers }, (_, layer) => layer);
  if (text === "all") return all;
  const ranges = text.split(",").map((part) => {
    const [, from, to] = /^\s*(\d{1,4})(?:-(\d{1,4}))?\s*$/.exec(part) ?? [];
    const [first, last] = [Number(from), Number(to ?? from)];
    if (first <= last && last < nLayers) return { first, last };
    throw expected("--layers", `all, or layers below ${nLayers} such as 0,3,6-8`, part);
  });
  return all.filter((layer) => ranges.some(({ first, last }) => first <= layer && layer <= last));
}

function number(option: string, text: string, below: number): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && value < below) return value;
  throw expected(option, `a number above 0 and below the width, ${below}`, text);
}

function expected(field: string, what: string, got: string): Error {
  return badInput(`expected ${what}, got ${got === "" ? "nothing" : got}`, { field });
}

/** Settings as they are kept and compared: sites by hook. */
export function settingsRecord({ sites, training, ...rest }: SaeSettings): Record<string, unknown> {
  return { ...rest, ...training, sites: sites.map(siteHook) };
}
