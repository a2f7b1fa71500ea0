/** @file Which SAEs of a Gemma Scope repository are fetched, and that the folder can be read as it is. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { fetchByName } from "../../../src/hub/fetch-weights.js";
import { type HubConnection, openHub } from "../../../src/hub/hub-connection.js";
import { readModelConfig } from "../../../src/weights/model-config.js";
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
