/** @file Which files of a repository are needed: of a checkpoint, or of the SAEs that were asked for. */
import { basename } from "node:path";
import { badInput } from "../base/errors.js";
import { MODEL_FAMILIES } from "../families/registry.js";
import { listGemmaScopeFiles } from "../weights/gemma-scope.js";
import { chooseSaes, type SaeOptions } from "../weights/sae-folder.js";
import type { HubFile, HubSnapshot } from "./snapshot.js";

const CONFIG_FILE = "config.json";
const TOKENIZER_FILE = "tokenizer.json";
const SINGLE_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";
const SHARD = /^model-\d{5}-of-\d{5}\.safetensors$/;
/** Lines of models whose checkpoints can be read, in words. */
const BRANDS = new Intl.ListFormat("en", { type: "disjunction" }).format(
  new Set(Object.values(MODEL_FAMILIES).map(({ brand }) => brand)),
);
/** Taken where they are. */
const OPTIONAL = new Set(["tokenizer_config.json", "chat_template.jinja"]);

/** The files that a checkpoint folder consists of. @throws bad_input when the repository holds no checkpoint that can be read. */
export function chooseModelFiles(snapshot: HubSnapshot): HubSnapshot {
  const { repo, files } = snapshot;
  const byPath = new Map(files.map((file) => [file.path, file]));
  const need = (path: string): HubFile => {
    const file = byPath.get(path);
    if (file !== undefined) return file;
    throw badInput(
      `expected ${path}, got no such file at ${snapshot.commit.slice(0, 12)}; is this a ${BRANDS} checkpoint?`,
      {
        file: repo,
      },
    );
  };
  const single = byPath.get(SINGLE_FILE);
  const weights = single === undefined ? [need(INDEX_FILE), ...files.filter(({ path }) => SHARD.test(path))] : [single];
  const optional = files.filter(({ path }) => OPTIONAL.has(path));
  // Small files first: what is wrong with them shows before the long wait.
  return { ...snapshot, files: [need(CONFIG_FILE), need(TOKENIZER_FILE), ...optional, ...weights] };
}

/** Whether the repository holds SAEs in a layout of Gemma Scope's. */
export function holdsSaes({ repo, files }: HubSnapshot): boolean {
  return (
    listGemmaScopeFiles(
      basename(repo),
      files.map(({ path }) => path),
    ).length > 0
  );
}

/** The SAEs of a repository that the options mean. @throws bad_input when there are none, or the choice is ambiguous. */
export function chooseSaeFiles(snapshot: HubSnapshot, options: SaeOptions): HubSnapshot {
  const { repo, files } = snapshot;
  const present = listGemmaScopeFiles(
    basename(repo),
    files.map(({ path }) => path),
  );
  if (present.length === 0)
    throw badInput(
      "expected SAEs as layer_<i>/width_<w>/average_l0_<n>/params.npz in a repository whose name ends in -res, -mlp or -att, got none",
      { file: repo },
    );
  const chosen = new Set(chooseSaes(repo, present, options).map(({ path }) => path));
  return { ...snapshot, files: files.filter(({ path }) => chosen.has(path)) };
}
