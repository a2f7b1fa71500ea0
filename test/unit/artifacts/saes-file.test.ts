/** @file `saes.parquet` and the pages of features: names of published SAEs, null for all others; plans of own SAEs say nothing. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { canonicalJson } from "../../../src/base/hash.js";
import type { Provenance } from "../../../src/artifacts/artifact-metadata.js";
import { decodeParquet, type ParquetRow } from "../../../src/artifacts/parquet.js";
import { encodeSaes } from "../../../src/artifacts/saes-file.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { encodeNodeMeans } from "../../../src/experiments/truth/truth-artifact.js";
import type { ListedNode } from "../../../src/experiments/truth/node-table.js";
import { planSweep, type PlannedRun } from "../../../src/plan/make-plan.js";
import { writeNpz } from "../../../src/weights/npz.js";
import { FakeHub } from "../hub/fake-hub.js";
import { temporaryFolder, TINY_A } from "../weights/temporary-folder.js";

const ENVIRONMENT = { code: "c", backend: "wasm", device: "d", threads: 1, dtype: "float32", tfjs: "t" };
const [D, F] = [48, 16_384];

function planWith(saes: object): Promise<PlannedRun> {
  const dataset = { path: "data/pairs.jsonl", limit: 2 };
  const sweep = { name: "s", model: { path: resolve(TINY_A, "model") }, saes, dataset, means: true };
  const source = { text: JSON.stringify(sweep), file: "sweep.json", baseFolder: TINY_A };
  return planSweep(REGISTER.experiments, source, { backend: "wasm", autoThreads: 1 });
}

const provenance = ({ plan, planHash }: PlannedRun): Provenance => ({
  plan,
  planHash,
  environment: ENVIRONMENT,
  missingPrompts: [],
});

const rowsOf = async (planned: PlannedRun): Promise<ParquetRow[]> =>
  (await decodeParquet(encodeSaes(provenance(planned)))).rows;

/** A hub with SAEs that fit the tiny model in folders of a repository. */
async function hubWith(repo: string, folders: readonly string[]): Promise<FakeHub> {
  const folder = temporaryFolder();
  const array = (...shape: number[]) => ({
    shape,
    values: new Float32Array(shape.reduce((product, size) => product * size, 1)),
  });
  await writeNpz(join(folder, "params.npz"), new Map(Object.entries({ W_enc: array(D, F), W_dec: array(F, D), b_enc: array(F), b_dec: array(D), threshold: array(F) }))); // prettier-ignore
  const hub = await FakeHub.start(repo);
  onTestFinished(() => hub.close());
  for (const one of folders) hub.add(`${one}/params.npz`, readFileSync(join(folder, "params.npz")), true);
  vi.stubEnv("HF_ENDPOINT", hub.endpoint);
  vi.stubEnv("HF_HUB_CACHE", join(folder, "hub"));
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  return hub;
}

const FOLDERS = [
  "layer_0/width_16k/average_l0_105",
  "layer_1/width_16k/average_l0_71",
  "layer_2/width_16384/average_l0_141",
];

test("SAEs of a published repository have their names, page by page where there is one, and others none", async () => {
  await hubWith("google/gemma-scope-2b-pt-res", FOLDERS);
  const planned = await planWith({ hub: "gemma-scope-2b-pt-res", width: "16k" });
  const [first, second, third] = await rowsOf(planned);
  expect(first).toEqual({
    hook: "blocks.0.hook_resid_post",
    site: "resid_post",
    layer: 0,
    d_in: D,
    width: F,
    release: "gemma-scope-2b-pt-res",
    sae_id: FOLDERS[0],
    neuronpedia_id: "gemma-2-2b/0-gemmascope-res-16k",
    neuronpedia_url: "https://www.neuronpedia.org/gemma-2-2b/0-gemmascope-res-16k",
  });
  expect(second).toMatchObject({ layer: 1, sae_id: FOLDERS[1], neuronpedia_id: null, neuronpedia_url: null });
  expect(third).toMatchObject({ layer: 2, width: F, release: null, sae_id: null, neuronpedia_id: null });

  const nodes = ([0, 1, 2] as const).map((layer, slot) => featureAt(layer, slot));
  const { rows } = await decodeParquet(encodeNodeMeans(tableOf([...nodes, errorAt(3)]), provenance(planned)));
  expect(rows.map((row) => row["neuronpedia_url"])).toEqual([
    "https://www.neuronpedia.org/gemma-2-2b/0-gemmascope-res-16k/153",
    null,
    null,
    null,
  ]);
});

test("a copy of a published repository under another owner, and another revision of it, have no names", async () => {
  const hub = await hubWith("mirror/gemma-scope-2b-pt-res", FOLDERS);
  const copied = await planWith({ hub: hub.repo, width: "16k" });
  expect((await rowsOf(copied)).map(({ release, sae_id: id }) => [release, id])).toEqual(
    FOLDERS.map(() => [null, null]),
  );
  await hub.close();

  const published = await hubWith("google/gemma-scope-2b-pt-res", FOLDERS);
  const pinned = await planWith({ hub: published.repo, width: "16k", revision: published.commit });
  expect(pinned.planHash).toBe(copied.planHash);
});

test("SAEs of the user's own have rows without names, and their plan is what it was", async () => {
  const planned = await planWith({ path: "saes" });
  const rows = await rowsOf(planned);
  expect(rows).toHaveLength(planned.plan.saes.length);
  expect(rows.every((row) => row["release"] === null && row["neuronpedia_url"] === null)).toBe(true);
  expect(canonicalJson(planned.plan)).not.toContain("published");
});

const listed = { stratum: "all" as const, inclusionProbability: 1, position: 1 };

const featureAt = (layer: number, slot: number): ListedNode => ({ ...listed, kind: "feature", site: "resid_post", layer, feature: 153, slot }); // prettier-ignore

const errorAt = (slot: number): ListedNode => ({ ...listed, kind: "error", site: "resid_post", layer: 0, slot });

/** Effects of 1 everywhere. */
function tableOf(nodes: readonly ListedNode[]): Parameters<typeof encodeNodeMeans>[0] {
  const size = 2 * nodes.length;
  return {
    nodes,
    prompts: 2,
    metricClean: new Float64Array(2),
    metricCorrupted: new Float64Array(2).fill(1),
    metricPatched: new Float64Array(size).fill(1),
    present: new Uint8Array(size).fill(1),
    ran: new Uint8Array(size).fill(1),
    scores: new Map(),
  };
}
