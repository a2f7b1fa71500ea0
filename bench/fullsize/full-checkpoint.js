/**
 * @file Writes a random Gemma-2 checkpoint of full size (Hugging Face layout: shards and index, bfloat16) with random SAEs (Gemma Scope
 * layout, float32). Numbers come from one random block for each scale, which every tensor reads from a place of its own on: writing
 * runs at the disk's rate. Nothing is compressed, shared or linked, so reading costs what it would with real weights.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { encodeNpyHeader } from "../../dist/weights/npy.js";
import { configOf, GATE, randomValues, SITE_FOLDERS } from "../models/make-checkpoint.js";
import { tensorShapes } from "../../dist/families/family.js";
import { readModelConfig } from "../../dist/families/read-config.js";

/** Shapes of Google's models, their SAEs' width and layers, and a small one for trying the steps. */
export const SHAPES = {
  "2b": {
    layers: 26,
    width: 2304,
    heads: 8,
    kvHeads: 4,
    headWidth: 256,
    mlp: 9216,
    vocabulary: 256_000,
    features: 16_384,
    saeLayers: Array.from({ length: 26 }, (_, layer) => layer),
  },
  "9b": {
    layers: 42,
    width: 3584,
    heads: 16,
    kvHeads: 8,
    headWidth: 256,
    mlp: 14_336,
    vocabulary: 256_000,
    features: 16_384,
    saeLayers: [9, 20, 31],
  },
  tiny: {
    layers: 3,
    width: 64,
    heads: 4,
    kvHeads: 2,
    headWidth: 16,
    mlp: 128,
    vocabulary: 1500,
    features: 1024,
    saeLayers: [0, 2],
  },
};

const DATA = fileURLToPath(new URL("../../data", import.meta.url));
const SHARD_BYTES = 5e9;
/** Values of a random block: prime, so that no two rows of a matrix are equal, and small enough to stay at hand. */
const BLOCK = 1_048_583;
const BYTES = { BF16: 2, F32: 4 };

/** Writes `FOLDER/model`, `FOLDER/saes` and `FOLDER/pairs.jsonl`. @returns bytes of each. */
export function writeFullSize(name, folder, onFile = () => undefined) {
  const shape = SHAPES[name];
  const model = join(folder, "model");
  mkdirSync(model, { recursive: true });
  writeFileSync(join(model, "config.json"), JSON.stringify(configOf(shape)));
  writeTokenizer(model, shape.vocabulary);
  writeFileSync(join(folder, "pairs.jsonl"), readFileSync(join(DATA, "agreement/rc.test.jsonl")));
  const modelBytes = writeModel(model, tensorShapes(readModelConfig(model)), onFile);
  const saeBytes = shape.saeLayers.length === 0 ? 0 : writeSaes(join(folder, "saes"), shape, onFile);
  return { model: modelBytes, saes: saeBytes };
}

/** Bytes that {@link writeFullSize} will write, to within a percent. */
export function fullSizeBytes(name) {
  const { layers, width, heads, kvHeads, headWidth, mlp, vocabulary, features, saeLayers } = SHAPES[name];
  const [query, keys] = [heads * headWidth, kvHeads * headWidth];
  const model = 2 * (layers * width * (2 * query + 2 * keys + 3 * mlp + 4) + vocabulary * width);
  return model + saeLayers.length * 8 * features * (2 * width + query);
}

/** The tiny world's tokenizer with its ids spread over the whole vocabulary, so that embedding rows come from all over the matrix. */
function writeTokenizer(model, vocabulary) {
  const tokenizer = JSON.parse(readFileSync(join(DATA, "tiny-gemma2/tokenizer.json"), "utf8"));
  const { vocab } = tokenizer.model;
  const special = new Set(tokenizer.added_tokens.map(({ id }) => id));
  const step = Math.floor((vocabulary - 1) / Math.max(...Object.values(vocab)));
  for (const [token, id] of Object.entries(vocab)) if (!special.has(id)) vocab[token] = id * step;
  writeFileSync(join(model, "tokenizer.json"), JSON.stringify(tokenizer));
  const settings = "tokenizer_config.json";
  writeFileSync(join(model, settings), readFileSync(join(DATA, "tiny-gemma2", settings)));
}

function writeModel(folder, tensors, onFile) {
  const shards = [[]];
  let size = 0;
  for (const [name, shape] of tensors) {
    const bytes = BYTES.BF16 * countOf(shape);
    if (size + bytes > SHARD_BYTES && size > 0) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1).push({ name, shape, bytes });
    size += bytes;
  }
  const block = blocks("BF16");
  const weightMap = {};
  const total = shards.flat().reduce((sum, { bytes }) => sum + bytes, 0);
  for (const [i, shard] of shards.entries()) {
    const number = (n) => String(n).padStart(5, "0");
    const file = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    writeShard(join(folder, file), shard, block);
    for (const { name } of shard) weightMap[name] = file;
    onFile(file);
  }
  const index = { metadata: { total_size: total }, weight_map: weightMap };
  writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify(index));
  return total;
}

function writeShard(path, shard, block) {
  const header = { __metadata__: { format: "pt" } };
  let end = 0;
  for (const { name, shape, bytes } of shard)
    header[name] = { dtype: "BF16", shape, data_offsets: [end, (end += bytes)] };
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc(-json.length & 7, " ")]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  writing(path, (write) => {
    [length, padded].forEach(write);
    for (const [i, { name, shape, bytes }] of shard.entries())
      for (const piece of block(spreadOf(name, shape)).pieces(bytes, 7919 * i)) write(piece);
  });
}

/** Norms' gains are `1 + w`. Every product of a normed activation then has about the activation's own scale. */
function spreadOf(name, shape) {
  if (name.includes("norm")) return 0;
  return name.includes("embed") ? 0.04 : 1 / Math.sqrt(shape[1]);
}

/**
 * Gemma Scope's layout. SAEs of one site have the same matrices, each in a file of its own; thresholds follow the scale that
 * activations have at their layer, so that about 2.5 % of the features fire.
 */
function writeSaes(folder, { saeLayers, features, width, heads, headWidth }, onFile) {
  const block = blocks("F32");
  let bytes = 0;
  for (const [site, siteFolder] of Object.entries(SITE_FOLDERS)) {
    const dIn = site === "attn_z" ? heads * headWidth : width;
    const matrix = (shape, from) => ({
      shape,
      pieces: () => block(1 / Math.sqrt(dIn)).pieces(4 * countOf(shape), from),
    });
    const constant = (count, value) => ({
      shape: [count],
      pieces: () => [bytesOf(new Float32Array(count).fill(value))],
    });
    const shared = {
      W_enc: checked(matrix([dIn, features], 104_729)),
      W_dec: checked(matrix([features, dIn], 1_299_709)),
      b_enc: checked(constant(features, 0)),
      b_dec: checked(constant(dIn, 0)),
    };
    for (const layer of saeLayers) {
      const at = `${siteFolder}/layer_${String(layer)}/width_${String(features / 1024)}k`;
      const place = join(folder, at, `average_l0_${String(Math.round(features * 0.025))}`);
      mkdirSync(place, { recursive: true });
      const threshold = checked(constant(features, GATE * scaleOf(site, layer, width)));
      bytes += writeStoredNpz(join(place, "params.npz"), { ...shared, threshold });
      onFile(at);
    }
  }
  return bytes;
}

/** Root mean square of a site of this random model: norms after attention and MLP give both outputs scale 1. */
function scaleOf(site, layer, width) {
  if (site === "mlp_out") return 1;
  return site === "attn_z" ? 0.6 : Math.sqrt(0.04 ** 2 * width + 2 * (layer + 1));
}

/** The npy header of an array, and the checksum of header and values. */
function checked({ shape, pieces }) {
  const header = encodeNpyHeader(shape);
  let crc = crc32(header);
  let bytes = header.length;
  for (const piece of pieces()) {
    crc = crc32(piece, crc);
    bytes += piece.length;
  }
  return { header, pieces, crc, bytes };
}

/** An npz without compression, as numpy.savez writes it. Source: PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.16. */
function writeStoredNpz(path, arrays) {
  const directory = [];
  let at = 0;
  writing(path, (write) => {
    const put = (bytes) => {
      write(bytes);
      at += bytes.length;
    };
    for (const [name, { header, pieces, crc, bytes }] of Object.entries(arrays)) {
      const file = Buffer.from(`${name}.npy`);
      const common = Buffer.alloc(26); // Version, flags, method, time, date, checksum, sizes, name length, no extra field.
      common.writeUInt16LE(20, 0);
      common.writeUInt16LE(0x21, 8);
      [crc, bytes, bytes].forEach((value, i) => common.writeUInt32LE(value, 10 + 4 * i));
      common.writeUInt16LE(file.length, 22);
      const end = Buffer.alloc(14); // No comment, disk, attributes; where the local header is.
      end.writeUInt32LE(at, 10);
      directory.push(Buffer.from("PK\x01\x02\x14\x00", "latin1"), common, end, file);
      [Buffer.from("PK\x03\x04", "latin1"), common, file, header].forEach(put);
      for (const piece of pieces()) put(piece);
    }
    const listed = Buffer.concat(directory);
    const last = Buffer.alloc(22);
    last.write("PK\x05\x06", "latin1");
    const count = Object.keys(arrays).length;
    [8, 10].forEach((field) => last.writeUInt16LE(count, field));
    last.writeUInt32LE(listed.length, 12);
    last.writeUInt32LE(at, 16);
    [listed, last].forEach(put);
  });
  return at;
}

/** Random blocks by standard deviation, in a dtype, each made when it is first needed. */
function blocks(dtype) {
  const made = new Map();
  return (spread) => {
    if (!made.has(spread)) {
      const values = randomValues([BLOCK], spread, 1 + made.size);
      made.set(spread, tiles(bytesOf(dtype === "F32" ? values : toBfloat16(values)), BYTES[dtype]));
    }
    return made.get(spread);
  };
}

/** A block that is repeated for as long as needed. */
function tiles(block, valueBytes) {
  const pieces = function* (bytes, fromValue) {
    let start = (fromValue * valueBytes) % block.length;
    for (let left = bytes; left > 0; start = 0) {
      const piece = block.subarray(start, Math.min(block.length, start + left));
      left -= piece.length;
      yield piece;
    }
  };
  return { pieces };
}

/** The upper halves: rounding is not needed for random numbers. */
function toBfloat16(values) {
  return new Uint16Array(values.buffer).filter((_, half) => half % 2 === 1);
}

function bytesOf(array) {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function countOf(shape) {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Writes a file under another name and renames it when it is whole. */
function writing(path, fill) {
  const file = openSync(`${path}.part`, "w");
  try {
    fill((bytes) => {
      for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done);
    });
    fsyncSync(file); // Pages that are not on the disk yet cannot leave the page cache.
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.part`, path);
}
