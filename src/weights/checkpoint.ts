/** @file A checkpoint folder: headers are checked when it is opened, weights are read by byte range when asked for. */
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { assert, must } from "../base/assert.js";
import { badInput } from "../base/errors.js";
import { canonicalJson, sha256 } from "../base/hash.js";
import { readJsonFile } from "../base/read-file.js";
import { tensorShapes, tensorsOf, type ModelConfig } from "../families/family.js";
import { readModelConfig } from "../families/read-config.js";
import { MODEL_FAMILIES, type ModelFamilies } from "../families/registry.js";
import { sha256OfFile } from "./byte-file.js";
import { shapeText, type NamedArray } from "./named-array.js";
import type { TensorRange } from "./safetensors-header.js";
import { encodeSafetensors, openSafetensors, type SafetensorsFile } from "./safetensors.js";
import type { StoredArray } from "./stored-array.js";

const SINGLE_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";

/** Rows whose bytes lie at most this far apart are read in one go. */
const MAX_GAP_BYTES = 64 * 2 ** 10;
/** Bytes of one such read, at most (a single row may be longer). */
const MAX_RUN_BYTES = 4 * 2 ** 20;

const indexSchema = z.looseObject({
  weight_map: z.record(
    z.string(),
    z.string().regex(/^[^/\\]+\.safetensors$/, "expected the name of a .safetensors file in the same folder"),
  ),
});

/** An open checkpoint. Owner: whoever opened it closes it. */
export interface Checkpoint {
  readonly folder: string;
  readonly config: ModelConfig;
  /**
   * Reads a tensor as float32, row-major as stored (`[out, in]` for linear layers).
   * @throws PatchbayError `non_finite` naming the tensor.
   */
  read(name: string): Promise<Float32Array>;
  /**
   * Gathers rows of a matrix, `[rows.length, columns]`; a row may be asked for more than once.
   * @throws PatchbayError `bad_input` for a row that the matrix does not have.
   */
  readRows(name: string, rows: ArrayLike<number>): Promise<Float32Array>;
  shapeOf(name: string): readonly number[];
  /** A tensor before it is read. */
  array(name: string): StoredArray;
  /** SHA-256 over config.json, tokenizer.json and the weight files; the folder's own name and place do not enter. */
  fingerprint(): Promise<string>;
  close(): Promise<void>;
}

/**
 * Opens a checkpoint folder and checks that every tensor of its family is there with its shape, in files of the right length.
 * @param families those that the checkpoint may belong to: its config.json says to which.
 * @throws PatchbayError `bad_input` naming the file or tensor at fault.
 */
export async function openCheckpoint(folder: string, families: ModelFamilies = MODEL_FAMILIES): Promise<Checkpoint> {
  const config = readModelConfig(folder, families);
  const files: SafetensorsFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(files.map((file) => file.close()));
  };
  try {
    for (const path of weightFiles(folder)) files.push(await openSafetensors(path));
    const spell = spellingIn(config, (name) => files.some(({ tensors }) => tensors.has(name)));
    const fileOf = locate(folder, config, files, spell);
    const fileWith = (name: string): SafetensorsFile => must(fileOf.get(name), `tensor ${name}`);
    const rangeOf = (name: string): TensorRange => must(fileWith(name).tensors.get(spell(name)), `tensor ${name}`);
    return {
      folder,
      config,
      shapeOf: (name) => rangeOf(name).shape,
      array: (name) => fileWith(name).array(spell(name)),
      read: (name) => fileWith(name).readFloats(spell(name)),
      readRows: (name, rows) => readRows(fileWith(name), spell(name), rows),
      fingerprint: () => fingerprint(folder, files),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Writes a checkpoint folder in float32: config.json and one safetensors file. Equal arguments give equal bytes.
 * @param tensors Named and shaped as {@link tensorShapes} says.
 */
export async function writeCheckpoint(
  folder: string,
  config: ModelConfig,
  tensors: ReadonlyMap<string, NamedArray>,
): Promise<void> {
  const expected = tensorShapes(config);
  assert(expected.size === tensors.size, `a checkpoint of ${String(expected.size)} tensors`);
  for (const [name, shape] of expected) {
    assert(
      shapeText(shape) === shapeText(must(tensors.get(name), name).shape),
      `${name} has shape ${shapeText(shape)}`,
    );
  }
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "config.json"), config.family.configText(config));
  await writeFile(join(folder, SINGLE_FILE), encodeSafetensors(tensors, { format: "pt" }));
}

/** The weight files of a folder: the single one, or the shards that the index names. */
function weightFiles(folder: string): string[] {
  if (existsSync(join(folder, SINGLE_FILE))) return [join(folder, SINGLE_FILE)];
  const index = join(folder, INDEX_FILE);
  if (!existsSync(index)) throw badInput(`expected ${SINGLE_FILE} or ${INDEX_FILE}, got neither`, { file: folder });
  const names = [...new Set(Object.values(readJsonFile(index, indexSchema).weight_map))].sort();
  const missing = names.find((name) => !existsSync(join(folder, name)));
  if (missing !== undefined) {
    throw badInput(`expected the shard ${missing} beside it, got no such file; copy or download it again`, {
      file: index,
      field: "weight_map",
    });
  }
  return names.map((name) => join(folder, name));
}

/** How files spell the name of a tensor. */
type Spelling = (name: string) => string;

/** The spelling under which `has` finds the token embedding; the plain one where none does. */
function spellingIn(config: ModelConfig, has: (name: string) => boolean): Spelling {
  const { embedding } = tensorsOf(config);
  const { prefixes } = config.family;
  const [own] = prefixes;
  const spellings = prefixes.map(
    (prefix) => (name: string) => (name.startsWith(own) ? prefix + name.slice(own.length) : name),
  );
  return spellings.find((spell) => has(spell(embedding.name))) ?? ((name) => name);
}

/** Which file holds each tensor, by its plain name. Others, such as the lm_head of a tied model, are ignored. */
function locate(
  folder: string,
  config: ModelConfig,
  files: readonly SafetensorsFile[],
  spell: Spelling,
): ReadonlyMap<string, SafetensorsFile> {
  const fileOf = new Map<string, SafetensorsFile>();
  for (const [plain, shape] of tensorShapes(config)) {
    const name = spell(plain);
    const [file, another] = files.filter(({ tensors }) => tensors.has(name));
    if (file === undefined) {
      throw badInput(`expected shape ${shapeText(shape)}, got no such tensor in ${filesText(files)}`, {
        file: folder,
        field: name,
      });
    }
    if (another !== undefined) throw badInput(`is in ${filesText([file, another])}`, { file: folder, field: name });
    const got = must(file.tensors.get(name), name).shape;
    if (shapeText(got) !== shapeText(shape)) {
      throw badInput(`expected shape ${shapeText(shape)} from config.json, got ${shapeText(got)}`, {
        file: file.path,
        field: name,
      });
    }
    fileOf.set(plain, file);
  }
  return fileOf;
}

async function readRows(file: SafetensorsFile, name: string, rows: ArrayLike<number>): Promise<Float32Array> {
  const [nRows = 0, columns = 0] = must(file.tensors.get(name), name).shape;
  const gathered = new Float32Array(rows.length * columns);
  const asked = Array.from(rows);
  const bad = asked.find((row) => !Number.isInteger(row) || row < 0 || row >= nRows);
  if (bad !== undefined) {
    throw badInput(`expected a row below ${nRows}, got ${bad}; does tokenizer.json belong to this checkpoint?`, {
      file: file.path,
      field: name,
    });
  }
  const order = [...asked.keys()].sort((a, b) => (asked[a] as number) - (asked[b] as number));
  for (const run of runs(asked, order, columns * Float32Array.BYTES_PER_ELEMENT)) {
    const block = await file.readFloatRows(name, run.first, run.last - run.first + 1);
    for (const at of run.positions) {
      const start = ((asked[at] as number) - run.first) * columns;
      gathered.set(block.subarray(start, start + columns), at * columns);
    }
  }
  return gathered;
}

/** Rows `first` to `last`, wanted at these positions of the result. */
interface Run {
  readonly first: number;
  last: number;
  readonly positions: number[];
}

/** Splits the positions, ordered by the row they ask for, into runs of rows that are worth one read each. */
function runs(asked: readonly number[], order: readonly number[], rowBytes: number): Run[] {
  const found: Run[] = [];
  for (const at of order) {
    const row = asked[at] as number;
    const run = found.at(-1);
    const near = run !== undefined && (row - run.last) * rowBytes <= MAX_GAP_BYTES;
    if (near && (row - run.first + 1) * rowBytes <= MAX_RUN_BYTES) {
      run.last = row;
      run.positions.push(at);
    } else found.push({ first: row, last: row, positions: [at] });
  }
  return found;
}

async function fingerprint(folder: string, files: readonly SafetensorsFile[]): Promise<string> {
  const others = ["config.json", "tokenizer.json"].map((name) => join(folder, name)).filter((path) => existsSync(path));
  const hashes: Record<string, string> = {};
  for (const path of [...others, ...files.map((file) => file.path)]) hashes[basename(path)] = await sha256OfFile(path);
  return sha256(canonicalJson(hashes));
}

function filesText(files: readonly SafetensorsFile[]): string {
  return files.map(({ path }) => basename(path)).join(", ");
}
