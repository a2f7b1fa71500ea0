/**
 * @file SAEs of Gemma 3 in Gemma Scope 2's folders: `<site folder>/layer_<i>_width_<w>_l0_<label>/`, with config.json and
 * params.safetensors. The folder's name says little; config.json names the module whose input or output the SAE was trained on:
 *
 * - `resid_post`: a layer's output;
 * - `attn_out`, in spite of its name: the input of the attention's output matrix, which is our `attn_z`;
 * - `mlp_out`: what the MLP adds, after the norm behind it.
 *
 * Source: the layout of google/gemma-scope-2-*, as SAELens reads it (sae_lens/loading/pretrained_sae_loaders.py).
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { badInput } from "../base/errors.js";
import { readJsonFile } from "../base/read-file.js";
import { SAE_SITES, type SaeSiteName } from "../nodes/site.js";
import { parseWidth } from "./gemma-scope.js";
import { subfolders, type SaeCandidate } from "./sae-candidate.js";

const CONFIG_FILE = "config.json";
const WEIGHTS_FILE = "params.safetensors";
/** Those that end in `_all` have every layer, in fewer variants. Transcoders and crosscoders are no SAEs of a site. */
const SITE_FOLDER = /^(resid_post|attn_out|mlp_out)(_all)?$/;
const SAE_FOLDER = /^layer_(\d{1,4})_width_[^_]+_l0_.+$/;
const SITE_OF_FOLDER = { resid_post: "resid_post", attn_out: "attn_z", mlp_out: "mlp_out" } as const;
const FILE = /^(resid_post|attn_out|mlp_out)(?:_all)?\/layer_(\d{1,4})_width_([^_]+)_l0_[^/]+\/params\.safetensors$/;
/** A folder of repositories may be named, not only a repository. */
const MAX_DEPTH = 2;

const HOOK_POINT: Readonly<Record<SaeSiteName, string>> = {
  attn_z: "self_attn.o_proj.input",
  mlp_out: "post_feedforward_layernorm.output",
  resid_post: "output",
};

const configSchema = z.looseObject({
  architecture: z.literal("jump_relu"),
  type: z.literal("sae").optional(),
  width: z.int().min(1),
  l0: z.number().min(0).nullish(),
  affine_connection: z.literal(false).nullish(),
  hf_hook_point_in: z.string(),
  hf_hook_point_out: z.string().nullish(),
});

/** Every Gemma Scope 2 SAE of a folder. @throws PatchbayError `bad_input` for one that does not sit at a site of ours. */
export function listGemmaScope2(folder: string, depth = 0): SaeCandidate[] {
  return subfolders(folder).flatMap((name) => {
    const path = join(folder, name);
    if (SITE_FOLDER.test(name)) return listSiteFolder(path);
    return depth < MAX_DEPTH ? listGemmaScope2(path, depth + 1) : [];
  });
}

/** Every one among the files of a repository, by what their folders say: of the L0 that is only a label. */
export function listGemmaScope2Files(paths: readonly string[]): SaeCandidate[] {
  return paths.flatMap((path) => {
    const [, name, layer, label = ""] = FILE.exec(path) ?? [];
    const width = parseWidth(label);
    if (name === undefined || width === undefined) return [];
    const site = SITE_OF_FOLDER[name as keyof typeof SITE_OF_FOLDER];
    return [{ site, layer: Number(layer), layout: "gemma-scope-2", path, width, l0: null }];
  });
}

function listSiteFolder(folder: string): SaeCandidate[] {
  return subfolders(folder).flatMap((name) => {
    const layer = SAE_FOLDER.exec(name)?.[1];
    return layer === undefined ? [] : [readCandidate(join(folder, name), Number(layer))];
  });
}

function readCandidate(folder: string, layer: number): SaeCandidate {
  const file = join(folder, CONFIG_FILE);
  const config = readJsonFile(file, configSchema);
  const path = join(folder, WEIGHTS_FILE);
  if (!existsSync(path)) throw badInput(`expected ${WEIGHTS_FILE} beside it, got no such file`, { file });
  const { hf_hook_point_in: from, hf_hook_point_out: to } = config;
  const site = SAE_SITES.find((one) => from === `model.layers.${layer}.${HOOK_POINT[one]}`);
  if (site === undefined || (to ?? from) !== from) {
    const known = SAE_SITES.map((one) => `model.layers.${layer}.${HOOK_POINT[one]}`).join(", ");
    const got = (to ?? from) === from ? from : `${from} to ${String(to)}`;
    throw badInput(`expected one of ${known}, got ${got}: an SAE elsewhere cannot be spliced`, {
      file,
      field: "hf_hook_point_in",
    });
  }
  return { site, layer, layout: "gemma-scope-2", path, width: config.width, l0: config.l0 ?? null };
}
