/** @file config.json of a checkpoint folder: the family that its `model_type` names reads it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { badInput } from "../base/errors.js";
import { readJsonFile } from "../base/read-file.js";
import type { ModelConfig } from "./family.js";
import { MODEL_FAMILIES, type ModelFamilies } from "./registry.js";

/** The field that says which family a checkpoint belongs to. */
const familySchema = z.looseObject({ model_type: z.string() });

/**
 * Reads `config.json` of a checkpoint folder.
 * @param families those that the checkpoint may belong to.
 * @throws PatchbayError `bad_input` when it is missing, of another family, or lacks a size.
 */
export function readModelConfig(folder: string, families: ModelFamilies = MODEL_FAMILIES): ModelConfig {
  const file = join(folder, "config.json");
  if (!existsSync(file)) {
    throw badInput("no such file; a model is a folder with config.json, *.safetensors and tokenizer.json", { file });
  }
  const { model_type: modelType } = readJsonFile(file, familySchema);
  const all = Object.values(families);
  const reader = all.map(({ readers }) => readers.get(modelType)).find((one) => one !== undefined);
  if (reader !== undefined) return reader(file);
  const types = listed(
    all.map((family) => JSON.stringify(family.modelType)),
    "disjunction",
  );
  const titles = listed(
    all.map(({ title }) => title),
    "conjunction",
  );
  throw badInput(`expected ${types}, got "${modelType}"; only ${titles} text checkpoints can be read`, {
    file,
    field: "model_type",
  });
}

function listed(words: readonly string[], type: "conjunction" | "disjunction"): string {
  return new Intl.ListFormat("en", { type }).format(words);
}
