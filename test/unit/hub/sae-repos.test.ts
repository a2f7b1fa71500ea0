/** @file Which SAEs of a Gemma Scope repository are fetched, and that the folder can be read as it is. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { fetchByName } from "../../../src/hub/fetch-weights.js";
import { type HubConnection, openHub } from "../../../src/hub/hub-connection.js";
import { readModelConfig } from "../../../src/families/read-config.js";
import { findSaes, type SaeOptions } from "../../../src/weights/sae-folder.js";
import { temporaryFolder, TINY_A } from "../weights/temporary-folder.js";
import { FakeHub } from "./fake-hub.js";

const REPO = "google/gemma-scope-2b-pt-res";

let hub: FakeHub;
let cacheFolder: string;

beforeEach(async () => {
  hub = await FakeHub.start(REPO);
  onTestFinished(() => hub.close());
  cacheFolder = join(temporaryFolder(), "hub");
  hub.add("README.md", "x").add("embedding/width_4k/average_l0_44/params.npz", "x", true);
});

/** Adds SAEs of the fixture, under other names: layer, width label, L0. */
function addSaes(...saes: [layer: number, width: string, l0: number][]): void {
  for (const [layer, width, l0] of saes) {
    const folder = join(TINY_A, "saes/resid", `layer_${String(layer)}`, "width_128");
    const [only = ""] = readdirSync(folder);
    const bytes = l0 === 200 ? Buffer.from("not read here") : readFileSync(join(folder, only, "params.npz"));
    hub.add(`layer_${String(layer)}/width_${width}/average_l0_${String(l0)}/params.npz`, bytes, true);
  }
}

const connection = (): HubConnection => openHub({ endpoint: hub.endpoint, cacheFolder, token: null, offline: false });

/** Paths below the folder that a fetch gave. */
async function fetched(options: SaeOptions, name = REPO): Promise<string[]> {
  const { kind, path } = await fetchByName(connection(), name, "main", options);
  expect(kind).toBe("saes");
  const entries = readdirSync(path, { recursive: true }).map(String);
  return entries.filter((entry) => entry.endsWith(".npz")).sort();
}

describe("SAEs of a Gemma Scope 2 repository", () => {
  const add = (folder: string, layer: number, width: number, l0: number, label: string, hook: string): void => {
    const path = `${folder}/layer_${String(layer)}_width_${String(width)}_l0_${label}`;
    const at = `model.layers.${String(layer)}.${hook}`;
    const config = { architecture: "jump_relu", type: "sae", width, l0, hf_hook_point_in: at, hf_hook_point_out: at };
    hub
      .add(`${path}/config.json`, JSON.stringify(config))
      .add(`${path}/params.safetensors`, `weights of ${path}`, true);
    hub.add(`${path}/examples.safetensors`, "much", true);
  };

  beforeEach(() => {
    for (const layer of [0, 1]) {
      add("resid_post_all", layer, 128, 12, "small", "output");
      add("resid_post_all", layer, 128, 120, "big", "output");
    }
    add("attn_out", 1, 128, 60, "medium", "self_attn.o_proj.input");
    add("transcoder", 1, 128, 60, "medium", "pre_feedforward_layernorm.output");
  });

  test("are chosen by the L0 that their configs say, and fetched with them alone", async () => {
    const { path } = await fetchByName(connection(), REPO, "main", { width: 128 });
    const files = readdirSync(path, { recursive: true }).map(String);
    const folder = "gemma-scope-2b-pt-res/resid_post_all/layer_0_width_128_l0_big";
    expect(files.filter((file) => file.endsWith(".safetensors")).sort()).toEqual([
      "gemma-scope-2b-pt-res/attn_out/layer_1_width_128_l0_medium/params.safetensors",
      `${folder}/params.safetensors`,
      "gemma-scope-2b-pt-res/resid_post_all/layer_1_width_128_l0_big/params.safetensors",
    ]);
    expect(files).toContain(`${folder}/config.json`);
    expect(hub.seen.filter(({ origin }) => origin === "store")).toHaveLength(3);
  });

  test("of a layer, a site and an L0 need only their configs; a width that is not there needs none", async () => {
    const { path } = await fetchByName(connection(), REPO, "main", {
      width: 128,
      layers: [0],
      sites: ["resid_post"],
      l0: 5,
    });
    expect(readdirSync(join(path, "gemma-scope-2b-pt-res/resid_post_all"))).toEqual(["layer_0_width_128_l0_small"]);
    expect(
      hub.seen.filter(({ path: asked }) => asked.includes("/resolve/") && asked.endsWith("config.json")),
    ).toHaveLength(2);
    hub.seen.length = 0;
    await expect(fetchByName(connection(), REPO, "main", { width: 64 })).rejects.toThrow(
      "width: expected one of 128, got 64",
    );
    expect(hub.seen.filter(({ path: asked }) => asked.includes("/resolve/"))).toEqual([]);
  });
});

describe("SAEs of a repository", () => {
  beforeEach(() => {
    addSaes([0, "128", 20], [0, "128", 70], [0, "128", 200], [1, "128", 95], [1, "128", 105], [1, "256", 101]);
  });

  test("canonical means, in each layer, the listed L0 closest to 100, ties to the smaller", async () => {
    expect(await fetched({ width: "128" })).toEqual([
      "gemma-scope-2b-pt-res/layer_0/width_128/average_l0_70/params.npz",
      "gemma-scope-2b-pt-res/layer_1/width_128/average_l0_95/params.npz",
    ]);
    expect(hub.seen.filter(({ origin }) => origin === "store")).toHaveLength(2);
  });

  test("layers and L0 are chosen, and an earlier choice does not show in the folder", async () => {
    await fetched({ width: 128 });
    hub.seen.length = 0;
    expect(await fetched({ width: 128, layers: [0], l0: 1000 })).toEqual([
      "gemma-scope-2b-pt-res/layer_0/width_128/average_l0_200/params.npz",
    ]);
    expect(await fetched({ width: 128, layers: [1] })).toHaveLength(1);
    expect(hub.seen.filter(({ origin }) => origin === "store")).toHaveLength(1);
  });

  test("the folder is what a sweep can name", async () => {
    const { path } = await fetchByName(connection(), REPO, "main", { width: 128 });
    const entries = await findSaes(path, readModelConfig(`${TINY_A}/model`));
    expect(entries).toMatchObject([
      { site: "resid_post", layer: 0, l0: 70 },
      { site: "resid_post", layer: 1, l0: 95 },
    ]);
  });

  test("a name without an owner means Google's, and one for three repositories those of the sites", async () => {
    expect(await fetched({ width: 128, sites: ["resid_post"] }, "gemma-scope-2b-pt")).toHaveLength(2);
    await expect(fetched({ width: 128 }, "gemma-scope-2b-pt")).rejects.toThrow(
      "has no repository google/gemma-scope-2b-pt-att",
    );
  });

  test.each<[SaeOptions, string]>([
    [
      {},
      `${REPO}: width: expected a choice, because there are SAEs of several widths: 128, 256; set saes.width (fetch: --width)`,
    ],
    [{ width: "16k" }, `${REPO}: width: expected one of 128, 256, got 16k`],
    [{ width: 128, layers: [0, 7] }, `${REPO}: layers: expected SAEs in layer 7, got none`],
    [{ width: 128, layers: [9] }, "got none in layers 9"],
    [{ width: 128, sites: ["mlp_out"] }, "got none at mlp_out"],
  ])("%j is refused before anything is downloaded", async (options, message) => {
    await expect(fetchByName(connection(), REPO, "main", options)).rejects.toThrow(message);
    expect(hub.seen.filter(({ path }) => path.includes("/resolve/"))).toEqual([]);
  });
});
