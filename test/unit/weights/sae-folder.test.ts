/** @file SAE folders: which SAEs are chosen, and how the wrong ones are refused. */
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { SaeSiteName } from "../../../src/nodes/site.js";
import { parseWidth } from "../../../src/weights/gemma-scope.js";
import type { ModelConfig } from "../../../src/families/family.js";
import { readModelConfig } from "../../../src/families/read-config.js";
import type { NamedArray } from "../../../src/weights/named-array.js";
import { writeNpz } from "../../../src/weights/npz.js";
import { findSaes, fingerprintSaes, type SaeOptions } from "../../../src/weights/sae-folder.js";
import { copyOf, editBytes, editJson, temporaryFolder, TINY_A } from "./temporary-folder.js";
import { readSae } from "../../read-sae.js";

const SAES = `${TINY_A}/saes`;
const SAELENS = `${TINY_A}/saes-saelens`;
const TINY: ModelConfig = readModelConfig(`${TINY_A}/model`);

/** A config for which an SAE is a few numbers. */
const SMALL: ModelConfig = { ...TINY, nLayers: 26, dModel: 2, nHeads: 2, headDim: 1 };

/** The five arrays of an SAE, all zero. */
function zeros(dIn: number, dSae: number): Map<string, NamedArray> {
  const shapes = { W_enc: [dIn, dSae], W_dec: [dSae, dIn], b_enc: [dSae], b_dec: [dIn], threshold: [dSae] };
  const zero = (shape: number[]): NamedArray => ({ shape, values: new Float32Array(shape.reduce((a, b) => a * b)) });
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, zero(shape)]));
}

/** A Gemma Scope folder with small SAEs at the paths given, such as `resid/layer_0/width_4/average_l0_7`. */
async function folderWith(...paths: string[]): Promise<string> {
  const folder = temporaryFolder();
  for (const path of paths) {
    const width = parseWidth(/width_([^/]+)/.exec(path)?.[1] ?? "") ?? 4;
    await writeNpz(join(folder, path, "params.npz"), zeros(2, width));
  }
  return folder;
}

describe("Gemma Scope folders", () => {
  test("the fixture's twelve SAEs come in forward order, the canonical one where there are two", async () => {
    const entries = await findSaes(SAES, TINY);
    expect(entries.map(({ site, layer }) => `${site}.${String(layer)}`)).toEqual(
      [0, 1, 2, 3].flatMap((layer) => ["attn_z", "mlp_out", "resid_post"].map((site) => `${site}.${String(layer)}`)),
    );
    expect(entries[4]).toEqual({
      site: "mlp_out",
      layer: 1,
      layout: "gemma-scope",
      path: join(SAES, "mlp/layer_1/width_128/average_l0_19/params.npz"),
      width: 128,
      l0: 19,
      dIn: 48,
      dSae: 128,
    });
    expect(entries[0]).toMatchObject({ dIn: 64, dSae: 128 });
  });

  test("an L0 that was asked for picks the closest, as canonical does with 100", async () => {
    const l0Of = async (l0?: number): Promise<(number | null)[]> =>
      (await findSaes(SAES, TINY, { ...(l0 === undefined ? {} : { l0 }), sites: ["mlp_out"] })).map(
        (entry) => entry.l0,
      );
    expect(await l0Of(7)).toEqual([20, 7, 18, 19]);
    expect(await l0Of(19)).toEqual(await l0Of());
  });

  test("ties between two L0 go to the smaller", async () => {
    const folder = await folderWith(...[59, 141, 20].map((l0) => `resid/layer_3/width_4/average_l0_${String(l0)}`));
    expect(await findSaes(folder, SMALL)).toMatchObject([{ layer: 3, l0: 59 }]);
  });

  test("repository folders are sites, and other folders are not", async () => {
    const folder = await folderWith(
      "gemma-scope-2b-pt-res/layer_5/width_4/average_l0_68",
      "gemma-scope-2b-pt-att/layer_12/width_4/average_l0_85",
      "gemma-scope-2b-pt-transcoders/layer_5/width_4/average_l0_68",
    );
    mkdirSync(join(folder, "gemma-scope-2b-pt-res", "embedding"));
    expect(await findSaes(folder, SMALL)).toMatchObject([
      { site: "resid_post", layer: 5 },
      { site: "attn_z", layer: 12 },
    ]);
  });

  test("a width is chosen by number or by label", async () => {
    const folder = await folderWith("mlp/layer_0/width_1k/average_l0_9", "mlp/layer_0/width_2k/average_l0_9");
    for (const width of [2048, "2048", "2k"])
      expect(await findSaes(folder, SMALL, { width })).toMatchObject([{ dSae: 2048 }]);
  });

  test("a width and an L0 are chosen by site, and for one layer by its hook", async () => {
    const folder = await folderWith(
      ...["resid/layer_0", "resid/layer_1", "mlp/layer_0"].flatMap((at) =>
        ["1k", "2k"].flatMap((width) => [9, 60].map((l0) => `${at}/width_${width}/average_l0_${String(l0)}`)),
      ),
    );
    const chosen = async (options: SaeOptions): Promise<unknown[]> =>
      (await findSaes(folder, SMALL, options)).map(({ site, layer, dSae, l0 }) => [site, layer, dSae, l0]);
    const width = { resid_post: "1k", mlp_out: 2048, "blocks.1.hook_resid_post": "2k" };
    expect(await chosen({ width, l0: { resid_post: 10, "blocks.0.hook_resid_post": "canonical" } })).toEqual([
      ["mlp_out", 0, 2048, 60],
      ["resid_post", 0, 1024, 60],
      ["resid_post", 1, 2048, 9],
    ]);
    await expect(chosen({ width: { resid_post: "1k" } })).rejects.toThrow("several widths");
    await expect(chosen({ width: { ...width, mlp_out: "4k" } })).rejects.toThrow(
      "width: expected one of 1024, 2048 for blocks.0.hook_mlp_out, got 4k",
    );
    for (const field of ["width", "l0"])
      await expect(chosen({ width, [field]: { ...width, "blocks.3.hook_resid_post": 7 } })).rejects.toThrow(
        `${field}: expected an SAE at blocks.3.hook_resid_post, got none`,
      );
    const resid = await chosen({ width: { resid_post: "1k", attn_z: "2k" }, sites: ["resid_post"] });
    expect(resid).toEqual([
      ["resid_post", 0, 1024, 60],
      ["resid_post", 1, 1024, 60],
    ]);
  });

  test.each([
    ["16k", 16_384],
    ["32k", 32_768],
    ["65k", 65_536],
    ["131k", 131_072],
    ["262k", 262_144],
    ["524k", 524_288],
    ["1m", 1_048_576],
    ["4k", 4096],
    ["128", 128],
    ["20k", undefined],
    ["0", undefined],
    ["16K", undefined],
    ["", undefined],
  ])("width label %s means %s", (label, width) => {
    expect(parseWidth(label)).toBe(width);
  });
});

describe("SAELens folders", () => {
  test("they hold the same weights as the Gemma Scope folders they were made from", async () => {
    const [scope, saelens] = [await findSaes(SAES, TINY), await findSaes(SAELENS, TINY)];
    expect(saelens.map(({ site, layer, l0 }) => [site, layer, l0])).toEqual([
      ["attn_z", 0, null],
      ["mlp_out", 0, null],
      ["resid_post", 0, null],
    ]);
    for (const [at, entry] of saelens.entries()) {
      const weights = await readSae(entry);
      expect(weights).toEqual(await readSae(scope[at] as (typeof scope)[number]));
      expect(weights.threshold).toHaveLength(128);
    }
  });

  test.each(["metadata", "meta"])("newer configs, with the hook under %s, are read", async (key) => {
    const folder = copyOf("saes-saelens/layer_0_attn_z");
    editJson(join(folder, "cfg.json"), {
      hook_name: undefined,
      hook_layer: undefined,
      hook_head_index: undefined,
      activation_fn_str: undefined,
      finetuning_scaling_factor: undefined,
      reshape_activations: "hook_z",
      [key]: { hook_name: "blocks.2.attn.hook_z", hook_head_index: null, sae_lens_version: "6.12.1" },
    });
    expect(await findSaes(folder, TINY)).toMatchObject([{ site: "attn_z", layer: 2, dIn: 64 }]);
  });

  test.each([
    [{ architecture: "gated" }, 'architecture: expected "jumprelu", got "gated"; only JumpReLU SAEs can be read'],
    [{ architecture: undefined }, 'architecture: expected "jumprelu", got nothing; only JumpReLU SAEs can be read'],
    [
      { apply_b_dec_to_input: true },
      "apply_b_dec_to_input: expected false, got true; SAEs that subtract b_dec from their input cannot be read",
    ],
    [{ apply_b_dec_to_input: undefined }, "apply_b_dec_to_input: expected false, got nothing"],
    [
      { normalize_activations: "expected_average_only_in" },
      'normalize_activations: expected "none", got "expected_average_only_in"; SAEs that rescale their input cannot be read',
    ],
    [{ finetuning_scaling_factor: true }, "finetuning_scaling_factor: expected false, got true"],
    [{ activation_fn_str: "topk" }, 'activation_fn_str: expected "relu", got "topk"'],
    [{ hook_head_index: 3 }, "hook_head_index: expected null, got 3; only SAEs of a whole site can be spliced"],
    [
      { hook_name: "blocks.0.hook_resid_pre" },
      'hook_name: expected one of blocks.<i>.attn.hook_z, blocks.<i>.hook_mlp_out, blocks.<i>.hook_resid_post, got "blocks.0.hook_resid_pre"',
    ],
    [{ hook_name: undefined }, 'got ""'],
    [{ d_sae: "128" }, "d_sae: expected number, got string"],
  ])("%j is refused with a reason", async (fields, message) => {
    const folder = copyOf("saes-saelens");
    const file = join(folder, "layer_0_mlp_out", "cfg.json");
    editJson(file, fields);
    await expect(findSaes(folder, TINY)).rejects.toThrow(file);
    await expect(findSaes(folder, TINY)).rejects.toThrow(message);
  });

  test("a config without weights is refused", async () => {
    const folder = copyOf("saes-saelens");
    rmSync(join(folder, "layer_0_mlp_out", "sae_weights.safetensors"));
    await expect(findSaes(folder, TINY)).rejects.toThrow(
      `${join(folder, "layer_0_mlp_out", "cfg.json")}: expected sae_weights.safetensors beside it, got no such file`,
    );
  });
});

describe("fingerprint", () => {
  test("depends on the weights and sites, not on where they lie", async () => {
    const folder = copyOf("saes");
    renameSync(join(folder, "resid"), join(folder, "my-gemma-res"));
    const [here, there] = [await findSaes(SAES, TINY), await findSaes(folder, TINY)];
    const before = await fingerprintSaes(here);
    expect(await fingerprintSaes(there)).toBe(before);
    expect(await fingerprintSaes(here.slice(1))).not.toBe(before);
    editBytes(there[7]?.path ?? "", (bytes) => bytes.map((byte, at) => (at === 3000 ? byte ^ 1 : byte)));
    expect(await fingerprintSaes(there)).not.toBe(before);
  });
});

describe("refusals", () => {
  test("a folder that does not exist", async () => {
    await expect(findSaes("nowhere", TINY)).rejects.toThrow("nowhere: no such file or folder");
  });

  test("a folder without SAEs, or without those asked for", async () => {
    const folder = temporaryFolder();
    await expect(findSaes(folder, TINY)).rejects.toThrow(
      `${folder}: expected SAEs as <resid|mlp|att>/layer_<i>/width_<w>/average_l0_<n>/params.npz or in folders with cfg.json, got none`,
    );
    const resid = await folderWith("resid/layer_0/width_4/average_l0_7");
    const sites: SaeSiteName[] = ["resid_post", "mlp_out"];
    await expect(findSaes(resid, SMALL, { sites })).rejects.toThrow(
      `${resid}: sites: expected SAEs at mlp_out, got none`,
    );
  });

  test("several widths and no choice", async () => {
    const folder = await folderWith("resid/layer_0/width_4/average_l0_7", "resid/layer_0/width_16k/average_l0_7");
    await expect(findSaes(folder, SMALL)).rejects.toThrow(
      `${folder}: width: expected a choice, because there are SAEs of several widths: 4, 16384; set saes.width (fetch: --width)`,
    );
    await expect(findSaes(folder, SMALL, { width: "65k" })).rejects.toThrow("width: expected one of 4, 16384, got 65k");
  });

  test("two SAEs for one site and layer", async () => {
    const folder = await folderWith("resid/layer_0/width_4/average_l0_7", "x-res/layer_0/width_4/average_l0_7");
    const other = join(folder, "x-res/layer_0/width_4/average_l0_7/params.npz");
    await expect(findSaes(folder, SMALL)).rejects.toThrow(
      `expected one SAE for blocks.0.hook_resid_post, got this and ${other}; keep one of them`,
    );
    const mixed = copyOf("saes-saelens");
    cpSync(join(SAES, "mlp"), join(mixed, "mlp"), { recursive: true });
    await expect(findSaes(mixed, TINY)).rejects.toThrow("expected one SAE for blocks.0.hook_mlp_out, got this and");
  });

  test("SAEs of a wider model, of more layers, or with another width than their folder's name", async () => {
    const entry = "resid/layer_9/width_4/average_l0_7";
    const folder = await folderWith(entry);
    const path = join(folder, entry, "params.npz");
    await expect(findSaes(folder, { ...SMALL, dModel: 3 })).rejects.toThrow(
      `${path}: W_enc: expected shape [3, 4] at blocks.9.hook_resid_post, got [2, 4]; does this SAE belong to this model?`,
    );
    await expect(findSaes(folder, { ...SMALL, nLayers: 9 })).rejects.toThrow(
      `${path}: expected a layer below 9, got 9; these SAEs belong to another model`,
    );
    renameSync(join(folder, "resid/layer_9/width_4"), join(folder, "resid/layer_9/width_5"));
    await expect(findSaes(folder, SMALL)).rejects.toThrow("W_enc: expected shape [2, 5]");
  });

  test("a missing array, a missing file and a width that is no number", async () => {
    const entry = "att/layer_0/width_4/average_l0_7";
    const folder = await folderWith(entry);
    const arrays = zeros(2, 4);
    arrays.delete("threshold");
    await writeNpz(join(folder, entry, "params.npz"), arrays);
    await expect(findSaes(folder, SMALL)).rejects.toThrow(
      "params.npz: threshold: expected shape [4] at blocks.0.attn.hook_z, got no such array",
    );
    rmSync(join(folder, entry, "params.npz"));
    await expect(findSaes(folder, SMALL)).rejects.toThrow(
      `${join(folder, entry)}: expected params.npz in it, got no such file`,
    );
    mkdirSync(join(folder, "att/layer_0/width_wide/average_l0_7"), { recursive: true });
    rmSync(join(folder, "att/layer_0/width_4"), { recursive: true });
    await expect(findSaes(folder, SMALL)).rejects.toThrow(
      "width_wide: expected a name such as width_16k or width_16384",
    );
  });

  test("an npz cut short", async () => {
    const folder = copyOf("saes");
    const path = join(folder, "att/layer_2/width_128/average_l0_20/params.npz");
    writeFileSync(path, readFileSync(path).subarray(0, 30_000));
    await expect(findSaes(folder, TINY)).rejects.toThrow(
      `${path}: cut short or not an npz file: it has no zip directory at its end`,
    );
  });

  test("an SAE damaged inside is refused when it is read", async () => {
    const folder = copyOf("saes");
    const [first] = await findSaes(folder, TINY);
    editBytes(first?.path ?? "", (bytes) => bytes.map((byte, at) => (at === 9000 ? byte ^ 0x10 : byte)));
    const [entry] = await findSaes(folder, TINY);
    await expect(readSae(entry as NonNullable<typeof entry>)).rejects.toThrow(
      "W_enc.npy: damaged: its checksum differs",
    );
  });
});
