/** @file Gemma Scope 2 folders: the site comes from the config, and an SAE that sits elsewhere is refused. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ModelConfig } from "../../../src/families/family.js";
import { readModelConfig } from "../../../src/families/read-config.js";
import type { NamedArray } from "../../../src/weights/named-array.js";
import { findSaes, type SaeEntry } from "../../../src/weights/sae-folder.js";
import { encodeSafetensors } from "../../../src/weights/safetensors.js";
import { temporaryFolder, TINY_A } from "./temporary-folder.js";
import { readSae } from "../../read-sae.js";

/** The heads together are wider than the model, as in Gemma 3 270M. */
const SMALL: ModelConfig = { ...readModelConfig(`${TINY_A}/model`), nLayers: 18, dModel: 2, nHeads: 3, headDim: 1 };
const WIDTH = 4;

/** An SAE as a repository of Gemma Scope 2 holds it; its values count up. */
function writeSae(
  root: string,
  folder: string,
  dIn: number,
  hook: string,
  changes: Record<string, unknown> = {},
): void {
  const path = join(root, folder);
  mkdirSync(path, { recursive: true });
  const config = { architecture: "jump_relu", type: "sae", model_name: "google/gemma-3-270m-pt", width: WIDTH, l0: 60 };
  const hooks = { hf_hook_point_in: hook, hf_hook_point_out: hook, affine_connection: false };
  writeFileSync(join(path, "config.json"), JSON.stringify({ ...config, ...hooks, ...changes }));
  const shapes = { w_enc: [dIn, WIDTH], w_dec: [WIDTH, dIn], b_enc: [WIDTH], b_dec: [dIn], threshold: [WIDTH] };
  let next = 0;
  const arrays = Object.entries(shapes).map(([name, shape]): [string, NamedArray] => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => next++);
    return [name, { shape, values }];
  });
  writeFileSync(join(path, "params.safetensors"), encodeSafetensors(new Map(arrays), {}));
}

const RESID = "resid_post/layer_5_width_16k_l0_medium";

describe("Gemma Scope 2 folders", () => {
  test("give the three sites; attn_out is the heads before their output matrix", async () => {
    const folder = join(temporaryFolder(), "gemma-scope-2-270m-pt");
    writeSae(folder, RESID, 2, "model.layers.5.output");
    writeSae(folder, "attn_out_all/layer_5_width_16k_l0_small", 3, "model.layers.5.self_attn.o_proj.input");
    writeSae(folder, "mlp_out/layer_5_width_16k_l0_big", 2, "model.layers.5.post_feedforward_layernorm.output");
    writeSae(folder, "transcoder/layer_5_width_16k_l0_big", 2, "model.layers.5.pre_feedforward_layernorm.output");
    for (const path of [folder, join(folder, "..")])
      expect(await findSaes(path, SMALL)).toMatchObject([
        { site: "attn_z", layer: 5, layout: "gemma-scope-2", dIn: 3, dSae: WIDTH, l0: 60 },
        { site: "mlp_out", layer: 5, dIn: 2 },
        { site: "resid_post", layer: 5, dIn: 2 },
      ]);
  });

  test("hold the five arrays under other names", async () => {
    const folder = temporaryFolder();
    writeSae(folder, RESID, 2, "model.layers.5.output");
    const [entry] = await findSaes(folder, SMALL);
    expect(await readSae(entry as SaeEntry)).toEqual({
      dIn: 2,
      dSae: WIDTH,
      W_enc: Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7),
      W_dec: Float32Array.of(8, 9, 10, 11, 12, 13, 14, 15),
      b_enc: Float32Array.of(16, 17, 18, 19),
      b_dec: Float32Array.of(20, 21),
      threshold: Float32Array.of(22, 23, 24, 25),
    });
  });

  test("are chosen by the L0 of the config, whatever the label", async () => {
    const folder = temporaryFolder();
    for (const [label, l0] of [
      ["small", 10],
      ["medium", 60],
      ["big", 150],
    ] as const)
      // prettier-ignore
      writeSae(folder, `resid_post/layer_5_width_16k_l0_${label}`, 2, "model.layers.5.output", { l0 });
    expect(await findSaes(folder, SMALL)).toMatchObject([{ l0: 60 }]);
    expect(await findSaes(folder, SMALL, { l0: 140 })).toMatchObject([{ l0: 150 }]);
    expect(await findSaes(folder, SMALL, { l0: { resid_post: 0 } })).toMatchObject([{ l0: 10 }]);
  });

  const elsewhere =
    "expected one of model.layers.5.self_attn.o_proj.input, model.layers.5.post_feedforward_layernorm.output, model.layers.5.output, got";

  test.each<[string, string, Record<string, unknown>, string]>([
    [
      "another site",
      "model.layers.5.self_attn.output",
      {},
      `hf_hook_point_in: ${elsewhere} model.layers.5.self_attn.output`,
    ],
    ["another layer than its name", "model.layers.6.output", {}, `${elsewhere} model.layers.6.output`],
    [
      "an output elsewhere",
      "model.layers.5.output",
      { hf_hook_point_out: "model.layers.7.output" },
      "got model.layers.5.output to model.layers.7.output: an SAE elsewhere cannot be spliced",
    ],
    ["a transcoder", "model.layers.5.output", { type: "transcoder" }, 'type: expected "sae"'],
    ["another architecture", "model.layers.5.output", { architecture: "topk" }, 'architecture: expected "jump_relu"'],
    ["a skip connection", "model.layers.5.output", { affine_connection: true }, "affine_connection: expected false"],
  ])("with %s are refused", async (_what, hook, changes, message) => {
    const folder = temporaryFolder();
    writeSae(folder, RESID, 2, hook, changes);
    await expect(findSaes(folder, SMALL)).rejects.toThrow(join(folder, RESID, "config.json"));
    await expect(findSaes(folder, SMALL)).rejects.toThrow(message);
  });

  test("of another model, without weights, or beyond its layers are refused", async () => {
    const folder = temporaryFolder();
    writeSae(folder, RESID, 3, "model.layers.5.output");
    await expect(findSaes(folder, SMALL)).rejects.toThrow(
      "W_enc: expected shape [2, 4] at blocks.5.hook_resid_post, got [3, 4]",
    );
    await expect(findSaes(folder, { ...SMALL, nLayers: 5 })).rejects.toThrow("expected a layer below 5, got 5");
    rmSync(join(folder, RESID, "params.safetensors"));
    await expect(findSaes(folder, SMALL)).rejects.toThrow("expected params.safetensors beside it, got no such file");
  });
});
