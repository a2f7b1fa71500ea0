/**
 * @file Turns a GGUF file of a Gemma-3 text model into a checkpoint folder as Hugging Face lays it out.
 *
 * 1. config.json from the metadata; what GGUF leaves out is what llama.cpp assumes for the family.
 * 2. tokenizer.json from the SentencePiece vocabulary.
 * 3. Weights widened to float32 and renamed; norms are stored there as `1 + w` and here as `w`.
 *
 * Everything is written into a folder of another name, which takes its own name when it is complete.
 * Source: github.com/ggml-org/llama.cpp, convert_hf_to_gguf.py (class Gemma3Model) and src/llama-model.cpp.
 */
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { assert, must } from "../base/assert.js";
import { badInput, type ErrorDetail } from "../base/errors.js";
import { invalid } from "../base/read-file.js";
import { gemmaTokenizerJson } from "./gemma-tokenizer-json.js";
import { EMBEDDING, FINAL_NORM, gemmaTensors, layerTensor } from "./gemma-tensors.js";
import { openGguf, type GgufFile } from "./gguf-file.js";
import { configText, type LayerType, type ModelConfig } from "./model-config.js";
import { shapeText } from "./named-array.js";
import { writeFloatStreams, type FloatStream } from "./safetensors.js";
import { bpeOfSentencePieces } from "./sentencepiece-bpe.js";

/** llama.cpp's names of a layer's tensors by Hugging Face's. */
const LAYER_PARTS: Readonly<Record<string, string>> = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  post_attention_layernorm: "post_attention_norm",
  pre_feedforward_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
  post_feedforward_layernorm: "post_ffw_norm",
};

/** Every n-th layer of a Gemma 3 is global; the file does not say so. */
const GLOBAL_EVERY = 6;
/** The one size of Gemma 3 whose queries are scaled by its width over its heads and not by the head width: 27b. */
const LAYERS_OF_27B = 62;

/** No Gemma has more; it bounds what is set up before a tensor is looked for. */
const MAX_LAYERS = 1000;

const size = z.int().min(1);
const list = <T extends z.ZodType>(of: T) => z.array(of).min(1);
const metadataSchema = z.looseObject({
  "general.architecture": z.literal("gemma3"),
  "gemma3.context_length": size,
  "gemma3.embedding_length": size,
  "gemma3.block_count": size.max(MAX_LAYERS),
  "gemma3.feed_forward_length": size,
  "gemma3.attention.head_count": size,
  "gemma3.attention.head_count_kv": size,
  "gemma3.attention.key_length": size,
  "gemma3.attention.layer_norm_rms_epsilon": z.number().positive(),
  "gemma3.attention.sliding_window": size,
  "gemma3.rope.freq_base": z.number().positive(),
  "gemma3.rope.freq_base_swa": z.number().positive().default(10_000),
  "gemma3.rope.scaling.type": z.enum(["none", "linear"]).default("none"),
  "gemma3.rope.scaling.factor": z.number().positive().default(1),
  "gemma3.final_logit_softcapping": z.number().positive().nullable().default(null),
  "tokenizer.ggml.model": z.literal("llama"),
  "tokenizer.ggml.tokens": list(z.string()),
  "tokenizer.ggml.scores": list(z.number()),
  "tokenizer.ggml.token_type": list(z.int()),
  "tokenizer.ggml.bos_token_id": z.int().min(0),
  "tokenizer.ggml.eos_token_id": z.int().min(0),
  "tokenizer.ggml.padding_token_id": z.int().min(0).default(0),
});
type Metadata = z.infer<typeof metadataSchema>;

/** Told how many weights are written, of how many. */
export type OnConverted = (done: number, total: number) => void;

/**
 * Converts a file, unless the folder is there already (it is whole whenever it is there).
 * @throws PatchbayError `bad_input` when the file is not a Gemma-3 text model that can be read.
 */
export async function convertGguf(
  file: string,
  folder: string,
  onConverted: OnConverted = () => undefined,
): Promise<void> {
  if (existsSync(folder)) return;
  await mkdir(dirname(folder), { recursive: true });
  const gguf = await openGguf(file);
  const partial = await mkdtemp(join(dirname(folder), `.${basename(folder)}-`));
  try {
    const metadata = checkedMetadata(gguf);
    const config = configOf(metadata, { file });
    await writeFile(join(partial, "config.json"), configText(config));
    await writeFile(join(partial, "tokenizer.json"), JSON.stringify(tokenizerOf(metadata)));
    await writeFile(join(partial, "tokenizer_config.json"), `${JSON.stringify(TOKENIZER_CONFIG, null, 2)}\n`);
    await writeFloatStreams(join(partial, "model.safetensors"), streamsOf(gguf, config, onConverted), { format: "pt" });
    await chmod(partial, 0o755);
    await rename(partial, folder);
  } finally {
    await gguf.close();
    await rm(partial, { recursive: true, force: true });
  }
}

const TOKENIZER_CONFIG = { bos_token: "<bos>", eos_token: "<eos>", pad_token: "<pad>", unk_token: "<unk>" };

function checkedMetadata({ metadata, path }: GgufFile): Metadata {
  const parsed = metadataSchema.safeParse(Object.fromEntries(metadata));
  if (!parsed.success) throw invalid(parsed.error, { file: path });
  return parsed.data;
}

function configOf(metadata: Metadata, where: ErrorDetail): ModelConfig {
  const [nLayers, dModel] = [metadata["gemma3.block_count"], metadata["gemma3.embedding_length"]];
  const [nHeads, nKvHeads] = [metadata["gemma3.attention.head_count"], metadata["gemma3.attention.head_count_kv"]];
  const headDim = metadata["gemma3.attention.key_length"];
  const vocabSize = metadata["tokenizer.ggml.tokens"].length;
  for (const key of ["tokenizer.ggml.scores", "tokenizer.ggml.token_type"] as const)
    if (metadata[key].length !== vocabSize)
      throw badInput(`expected one entry for each of ${vocabSize} tokens, got ${metadata[key].length}`, {
        ...where,
        field: key,
      });
  const kind = (layer: number): LayerType => ((layer + 1) % GLOBAL_EVERY === 0 ? "full" : "sliding");
  const factor = metadata["gemma3.rope.scaling.type"] === "linear" ? metadata["gemma3.rope.scaling.factor"] : 1;
  return {
    family: "gemma3_text",
    nLayers,
    dModel,
    nHeads,
    nKvHeads,
    headDim,
    dMlp: metadata["gemma3.feed_forward_length"],
    vocabSize,
    queryPreAttnScalar: nLayers === LAYERS_OF_27B ? dModel / nHeads : headDim,
    rmsEps: Number(metadata["gemma3.attention.layer_norm_rms_epsilon"].toPrecision(7)),
    ropes: {
      sliding: { theta: metadata["gemma3.rope.freq_base_swa"], factor: 1 },
      full: { theta: metadata["gemma3.rope.freq_base"], factor },
    },
    queryKeyNorm: true,
    slidingWindow: metadata["gemma3.attention.sliding_window"],
    layerTypes: Array.from({ length: nLayers }, (_, layer) => kind(layer)),
    attnSoftcap: null,
    finalSoftcap: metadata["gemma3.final_logit_softcapping"],
    maxPositions: metadata["gemma3.context_length"],
    bosId: metadata["tokenizer.ggml.bos_token_id"],
    padId: metadata["tokenizer.ggml.padding_token_id"],
    eosId: metadata["tokenizer.ggml.eos_token_id"],
  };
}

function tokenizerOf(metadata: Metadata): unknown {
  return gemmaTokenizerJson(
    bpeOfSentencePieces({
      pieces: metadata["tokenizer.ggml.tokens"],
      scores: metadata["tokenizer.ggml.scores"],
      kinds: metadata["tokenizer.ggml.token_type"],
      bosId: metadata["tokenizer.ggml.bos_token_id"],
    }),
  );
}

/** Hugging Face's names with llama.cpp's. */
function ggufNames(nLayers: number): Map<string, string> {
  const names = new Map([
    [EMBEDDING, "token_embd.weight"],
    [FINAL_NORM, "output_norm.weight"],
  ]);
  for (let layer = 0; layer < nLayers; layer++)
    for (const [part, other] of Object.entries(LAYER_PARTS))
      names.set(layerTensor(layer, part), `blk.${layer}.${other}.weight`);
  return names;
}

function streamsOf(gguf: GgufFile, config: ModelConfig, onConverted: OnConverted): Map<string, FloatStream> {
  const names = ggufNames(config.nLayers);
  const streams = new Map<string, FloatStream>();
  let done = 0;
  let total = 0;
  async function* countPieces(pieces: AsyncIterable<Float32Array>): AsyncGenerator<Float32Array> {
    for await (const piece of pieces) {
      yield piece;
      onConverted((done += piece.length), total);
    }
  }
  for (const [name, shape] of gemmaTensors(config)) {
    total += shape.reduce((product, n) => product * n, 1);
    const stored = must(names.get(name), name);
    const found = gguf.tensors.get(stored);
    if (found === undefined || shapeText(found.shape) !== shapeText(shape))
      throw badInput(
        `expected shape ${shapeText(shape)}, got ${found === undefined ? "no such tensor" : shapeText(found.shape)}`,
        { file: gguf.path, field: stored },
      );
    const isNorm = shape.length === 1;
    const counted = (): AsyncGenerator<Float32Array> => countPieces(gguf.pieces(stored));
    streams.set(name, { shape, pieces: () => (isNorm ? lessOne(counted()) : counted()) });
  }
  assert(streams.size === names.size, "every tensor has a name in both spellings");
  return streams;
}

async function* lessOne(pieces: AsyncIterable<Float32Array>): AsyncGenerator<Float32Array> {
  for await (const values of pieces) yield values.map((value) => value - 1);
}
