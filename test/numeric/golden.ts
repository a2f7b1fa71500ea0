/** @file The golden fixture for numeric tests: its prompts, expected arrays and loaded model. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { must } from "../../src/base/assert.js";
import { openSpliced, type SplicedModel } from "../../src/passes/spliced-model.js";
import type { Prompt } from "../../src/nodes/prompt.js";
import type { Model } from "../../src/model/model.js";
import { openCheckpoint } from "../../src/weights/checkpoint.js";
import { findSaes } from "../../src/weights/sae-folder.js";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";
import { matricesFor, type ComputeType } from "../../src/backends/torch-matrices.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { openModel } from "./open-model.js";
import { TEST_BACKEND } from "./test-backend.js";

/** Folder of the fixture. */
export const TINY_A = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));

/** Reads `expected/<name>.json`. */
export function goldenJson(name: string): unknown {
  return JSON.parse(readFileSync(`${TINY_A}/expected/${name}.json`, "utf8"));
}

/** Arrays of `expected/<name>.safetensors`; `get` fails on a key that is not there. */
export async function goldenArrays(
  name: string,
): Promise<{ get(key: string): Float64Array; keys: string[]; shape(key: string): readonly number[] }> {
  const { arrays } = await readSafetensorsFile(`${TINY_A}/expected/${name}.safetensors`);
  return {
    keys: [...arrays.keys()],
    get: (key) => must(arrays.get(key), key).values as Float64Array,
    shape: (key) => must(arrays.get(key), key).shape,
  };
}

interface PairIds {
  readonly clean_ids: number[];
  readonly patch_ids: number[];
  readonly clean_answer_id: number;
  readonly patch_answer_id: number;
}

/** Tokenised pairs of the fixture, in file order. */
export function goldenPrompts(set: "pairs" | "mixed"): Prompt[] {
  const pairs = (goldenJson("tokens") as Record<typeof set, PairIds[]>)[set];
  return pairs.map((pair, i) => ({
    line: i + 1,
    clean: pair.clean_ids,
    corrupted: pair.patch_ids,
    correct: pair.clean_answer_id,
    incorrect: [pair.patch_answer_id],
  }));
}

/** Starts the backend and loads a checkpoint of the fixture. */
export async function goldenModel(folder: "model" | "model-sharded" | "model-bf16" = "model"): Promise<Model> {
  await startBackend(TEST_BACKEND);
  return await openModel(`${TINY_A}/${folder}`);
}

/** The fixture's model with the canonical SAEs at all 12 sites. */
export async function goldenSpliced(saes = "saes", dtype: ComputeType = "float32"): Promise<SplicedModel> {
  await startBackend(TEST_BACKEND);
  const checkpoint = await openCheckpoint(`${TINY_A}/model`);
  const entries = await findSaes(`${TINY_A}/${saes}`, checkpoint.config);
  const spliced = await openSpliced(checkpoint, entries, Infinity, matricesFor(dtype));
  const dispose = (): void => {
    spliced.dispose();
    void checkpoint.close();
  };
  return { ...spliced, dispose };
}
