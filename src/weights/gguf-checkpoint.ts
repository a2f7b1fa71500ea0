/**
 * @file Turns a GGUF file of a family that llama.cpp knows into a checkpoint folder as Hugging Face lays it out.
 *
 * 1. config.json from the metadata, which the family reads; what GGUF leaves out is what llama.cpp assumes for the family.
 * 2. tokenizer.json from the SentencePiece vocabulary.
 * 3. Weights widened to float32 and renamed; a norm's weight is the whole gain there, and here what the family stores of it.
 *
 * Everything is written into a folder of another name, which takes its own name when it is complete.
 * Source: github.com/ggml-org/llama.cpp, gguf-py/gguf/constants.py and convert_hf_to_gguf.py.
 */
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { badInput } from "../base/errors.js";
import { checked } from "../base/read-file.js";
import { must } from "../base/assert.js";
import {
  tensorsOf,
  type GgufRules,
  type LayerParts,
  type ModelConfig,
  type SpecialTokens,
  type StoredTensor,
} from "../families/family.js";
import { MODEL_FAMILIES, type ModelFamilies } from "../families/registry.js";
import { openGguf, type GgufFile } from "./gguf-file.js";
import { shapeText } from "./named-array.js";
import { writeFloatStreams, type FloatStream } from "./safetensors.js";
import { bpeOfSentencePieces } from "./sentencepiece-bpe.js";
import { sentencePieceJson } from "./sentencepiece-json.js";

/** llama.cpp's names of a layer's tensors; they are the same for all families. */
const LAYER_NAMES: Readonly<Record<keyof LayerParts<unknown>, string>> = {
  inputGain_D: "attn_norm",
  query_DZ: "attn_q",
  key_DJ: "attn_k",
  value_DJ: "attn_v",
  output_ZD: "attn_output",
  queryGain_H: "attn_q_norm",
  keyGain_H: "attn_k_norm",
  postAttentionGain_D: "post_attention_norm",
  preMlpGain_D: "ffn_norm",
  gate_DM: "ffn_gate",
  up_DM: "ffn_up",
  down_MD: "ffn_down",
  postMlpGain_D: "post_ffw_norm",
};

const list = <T extends z.ZodType>(of: T) => z.array(of).min(1);
const tokenizerSchema = z.looseObject({
  "tokenizer.ggml.model": z.literal("llama"),
  "tokenizer.ggml.tokens": list(z.string()),
  "tokenizer.ggml.scores": list(z.number()),
  "tokenizer.ggml.token_type": list(z.int()),
  "tokenizer.ggml.bos_token_id": z.int().min(0),
  "tokenizer.ggml.eos_token_id": z.int().min(0),
  "tokenizer.ggml.padding_token_id": z.int().min(0).default(0),
});
type TokenizerMetadata = z.infer<typeof tokenizerSchema>;

/** Told how many weights are written, of how many. */
export type OnConverted = (done: number, total: number) => void;

/**
 * Converts a file, unless the folder is there already (it is whole whenever it is there).
 * @param families those that the file may be of: its metadata says of which it is.
 * @throws PatchbayError `bad_input` when the file is of none of them, or cannot be read.
 */
export async function convertGguf(
  file: string,
  folder: string,
  onConverted: OnConverted = () => undefined,
  families: ModelFamilies = MODEL_FAMILIES,
): Promise<void> {
  if (existsSync(folder)) return;
  await mkdir(dirname(folder), { recursive: true });
  const gguf = await openGguf(file);
  const partial = await mkdtemp(join(dirname(folder), `.${basename(folder)}-`));
  try {
    const { config, tokenizer, specialTokens } = readMetadata(gguf, families);
    await writeFile(join(partial, "config.json"), config.family.configText(config));
    await writeFile(join(partial, "tokenizer.json"), JSON.stringify(tokenizerJson(tokenizer, specialTokens)));
    await writeFile(join(partial, "tokenizer_config.json"), tokenizerConfigText(specialTokens));
    await writeFloatStreams(join(partial, "model.safetensors"), streamsOf(gguf, config, onConverted), { format: "pt" });
    await chmod(partial, 0o755);
    await rename(partial, folder);
  } finally {
    await gguf.close();
    await rm(partial, { recursive: true, force: true });
  }
}

/** What a file says of its model and its vocabulary. */
interface GgufContents {
  readonly config: ModelConfig;
  readonly tokenizer: TokenizerMetadata;
  readonly specialTokens: SpecialTokens;
}

function readMetadata(gguf: GgufFile, families: ModelFamilies): GgufContents {
  const where = { file: gguf.path };
  const metadata = Object.fromEntries(gguf.metadata);
  const { readConfig, specialTokens } = rulesOf(metadata, families, gguf.path);
  const configOf = readConfig(metadata, gguf.path);
  const tokenizer = checked(metadata, tokenizerSchema, where);
  const vocabSize = tokenizer["tokenizer.ggml.tokens"].length;
  for (const field of ["tokenizer.ggml.scores", "tokenizer.ggml.token_type"] as const)
    if (tokenizer[field].length !== vocabSize)
      throw badInput(
        `expected one entry for each of ${String(vocabSize)} tokens, got ${String(tokenizer[field].length)}`,
        { ...where, field },
      );
  const config = configOf({
    vocabSize,
    bosId: tokenizer["tokenizer.ggml.bos_token_id"],
    padId: tokenizer["tokenizer.ggml.padding_token_id"],
    eosId: tokenizer["tokenizer.ggml.eos_token_id"],
  });
  return { config, tokenizer, specialTokens };
}

/** The rules of the family that the file is of. */
function rulesOf(metadata: Record<string, unknown>, families: ModelFamilies, file: string): GgufRules {
  const known = new Map(
    Object.values(families).flatMap(({ gguf }) => (gguf === undefined ? [] : [[gguf.architecture, gguf] as const])),
  );
  const schema = z.looseObject({ "general.architecture": z.literal([...known.keys()]) });
  return must(known.get(checked(metadata, schema, { file })["general.architecture"]), "family");
}

function tokenizerConfigText({ bos, eos, pad, unk }: SpecialTokens): string {
  return `${JSON.stringify({ bos_token: bos, eos_token: eos, pad_token: pad, unk_token: unk }, null, 2)}\n`;
}

function tokenizerJson(tokenizer: TokenizerMetadata, specialTokens: SpecialTokens): unknown {
  const bpe = bpeOfSentencePieces({
    pieces: tokenizer["tokenizer.ggml.tokens"],
    scores: tokenizer["tokenizer.ggml.scores"],
    kinds: tokenizer["tokenizer.ggml.token_type"],
    bosId: tokenizer["tokenizer.ggml.bos_token_id"],
  });
  return sentencePieceJson(bpe, specialTokens);
}

/** Every tensor of a model with llama.cpp's name. */
function ggufTensors(config: ModelConfig): (readonly [name: string, tensor: StoredTensor])[] {
  const { embedding, layers, finalGain } = tensorsOf(config);
  const ofLayers = layers.flatMap((parts, layer) =>
    (Object.entries(parts) as [keyof typeof parts, StoredTensor][]).map(
      ([part, tensor]) => [`blk.${String(layer)}.${LAYER_NAMES[part]}.weight`, tensor] as const,
    ),
  );
  return [["token_embd.weight", embedding], ...ofLayers, ["output_norm.weight", finalGain]];
}

function streamsOf(gguf: GgufFile, config: ModelConfig, onConverted: OnConverted): Map<string, FloatStream> {
  const streams = new Map<string, FloatStream>();
  let done = 0;
  let total = 0;
  async function* countPieces(pieces: AsyncIterable<Float32Array>): AsyncGenerator<Float32Array> {
    for await (const piece of pieces) {
      yield piece;
      onConverted((done += piece.length), total);
    }
  }
  for (const [stored, { kind, name, shape }] of ggufTensors(config)) {
    total += shape.reduce((product, n) => product * n, 1);
    const found = gguf.tensors.get(stored);
    if (found === undefined || shapeText(found.shape) !== shapeText(shape))
      throw badInput(
        `expected shape ${shapeText(shape)}, got ${found === undefined ? "no such tensor" : shapeText(found.shape)}`,
        { file: gguf.path, field: stored },
      );
    const counted = (): AsyncGenerator<Float32Array> => countPieces(gguf.pieces(stored));
    streams.set(name, { shape, pieces: () => (kind === "gain" ? less(config.norm.offset, counted()) : counted()) });
  }
  return streams;
}

async function* less(offset: number, pieces: AsyncIterable<Float32Array>): AsyncGenerator<Float32Array> {
  for await (const values of pieces) yield values.map((value) => value - offset);
}
