/**
 * @file SAEs in SAELens' folders: `cfg.json` beside `sae_weights.safetensors`, at any depth. Only plain JumpReLU SAEs are
 * taken: whatever else a config asks for would change the activations, so it is refused rather than ignored.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { badInput } from "../base/errors.js";
import { readJsonFile } from "../base/read-file.js";
import { isSaeSite, parseSiteHook, saeSites, siteHook } from "../nodes/site.js";
import { subfolders, type SaeCandidate } from "./sae-candidate.js";

const CONFIG_FILE = "cfg.json";
const WEIGHTS_FILE = "sae_weights.safetensors";
const MAX_DEPTH = 6;

/** A field that may have one value only, with the reason. */
function only<const T extends string | boolean | null>(value: T, reason: string) {
  return z.literal(value, {
    error: ({ input }) => `expected ${JSON.stringify(value)}, got ${JSON.stringify(input) ?? "nothing"}; ${reason}`, // eslint-disable-line @typescript-eslint/no-unnecessary-condition -- undefined stays undefined
  });
}

const wholeSite = only(null, "only SAEs of a whole site can be spliced").optional();
const relu = only("relu", "only JumpReLU SAEs over a plain ReLU can be read").nullish();
/** Where newer versions keep what older ones have at the top. */
const origin = z.looseObject({ hook_name: z.string().nullish(), hook_head_index: wholeSite });

const configSchema = origin.extend({
  architecture: only("jumprelu", "only JumpReLU SAEs can be read"),
  d_in: z.int().min(1),
  d_sae: z.int().min(1),
  apply_b_dec_to_input: only(
    false,
    "SAEs that subtract b_dec from their input cannot be read (SAELens takes a missing field as true)",
  ),
  normalize_activations: only("none", "SAEs that rescale their input cannot be read").optional(),
  reshape_activations: z.enum(["none", "hook_z"]).optional(),
  finetuning_scaling_factor: only(false, "SAEs with a scaling factor per feature cannot be read").nullish(),
  activation_fn: relu,
  activation_fn_str: relu,
  metadata: origin.nullish(),
  meta: origin.nullish(),
});

/** Every SAELens SAE in a folder or below. */
export function listSaelens(folder: string, depth = 0): SaeCandidate[] {
  const here = existsSync(join(folder, CONFIG_FILE)) ? [readCandidate(folder)] : [];
  if (depth === MAX_DEPTH) return here;
  return [...here, ...subfolders(folder).flatMap((name) => listSaelens(join(folder, name), depth + 1))];
}

function readCandidate(folder: string): SaeCandidate {
  const file = join(folder, CONFIG_FILE);
  const config = readJsonFile(file, configSchema);
  const hook = config.hook_name ?? config.metadata?.hook_name ?? config.meta?.hook_name ?? "";
  const at = parseSiteHook(hook);
  if (at?.rest !== "" || !isSaeSite(at)) {
    const known = saeSites(1).map(siteHook).join(", ").replaceAll("blocks.0", "blocks.<i>");
    throw badInput(`expected one of ${known}, got "${hook}"`, { file, field: "hook_name" });
  }
  const path = join(folder, WEIGHTS_FILE);
  if (!existsSync(path)) throw badInput(`expected ${WEIGHTS_FILE} beside it, got no such file`, { file });
  return { site: at.site, layer: at.layer, layout: "saelens", path, width: config.d_sae, l0: null };
}
