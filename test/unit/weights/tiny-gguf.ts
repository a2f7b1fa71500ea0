/** @file A small Gemma-3 in a GGUF file. */
import { fileURLToPath } from "node:url";
import { must } from "../../../src/base/assert.js";
import { tensorShapes } from "../../../src/families/family.js";
import { openCheckpoint } from "../../../src/weights/checkpoint.js";
import { floatTensor, ggufBytes, type Written, type WrittenTensor } from "./gguf-writer.js";

const FIXTURES = fileURLToPath(new URL("../../fixtures", import.meta.url));

/** The tiny Gemma-3 as llama.cpp would store it: other names, norms plus one, a vocabulary with scores. */
export async function tinyGguf(
  edit: (tensors: Map<string, WrittenTensor>) => void = () => undefined,
): Promise<Uint8Array> {
  const checkpoint = await openCheckpoint(`${FIXTURES}/tiny-gemma3`);
  const { config } = checkpoint;
  const tensors = new Map<string, WrittenTensor>();
  for (const [name, shape] of tensorShapes(config)) {
    const values = await checkpoint.read(name);
    tensors.set(llamaName(name), floatTensor(shape, shape.length === 1 ? values.map((w) => w + 1) : values));
  }
  await checkpoint.close();
  edit(tensors);
  const pieces = [
    "<pad>",
    "<eos>",
    "<bos>",
    "<unk>",
    "\n\n",
    "▁",
    ...Array.from("abcdefghij"),
    "ab",
    "▁ab",
    "cd",
    "abcd",
    "▁abcd",
  ];
  while (pieces.length < config.vocabSize) pieces.push(`<unused${String(pieces.length)}>`);
  const kind = (id: number, piece: string): number =>
    piece === "\n\n" ? 4 : id < 4 || piece.startsWith("<un") ? 3 : 1;
  return ggufBytes({ ...METADATA, ...vocabularyOf(pieces, kind) }, tensors);
}

const vocabularyOf = (pieces: string[], kind: (id: number, piece: string) => number): Record<string, Written> => ({
  "tokenizer.ggml.model": "llama",
  "tokenizer.ggml.tokens": pieces,
  "tokenizer.ggml.scores": pieces.map((_, id) => ({ float: -id })),
  "tokenizer.ggml.token_type": pieces.map((piece, id) => kind(id, piece)),
  "tokenizer.ggml.bos_token_id": 2,
  "tokenizer.ggml.eos_token_id": 1,
});

const METADATA: Record<string, Written> = {
  "general.architecture": "gemma3",
  "gemma3.context_length": 64,
  "gemma3.embedding_length": 40,
  "gemma3.block_count": 4,
  "gemma3.feed_forward_length": 48,
  "gemma3.attention.head_count": 4,
  "gemma3.attention.head_count_kv": 1,
  "gemma3.attention.key_length": 16,
  "gemma3.attention.layer_norm_rms_epsilon": { float: 1e-6 },
  "gemma3.attention.sliding_window": 4,
  "gemma3.rope.freq_base": { float: 50_000 },
  "gemma3.rope.scaling.type": "linear",
  "gemma3.rope.scaling.factor": { float: 4 },
};

const LLAMA: Record<string, string> = {
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  input_layernorm: "attn_norm",
  post_attention_layernorm: "post_attention_norm",
  pre_feedforward_layernorm: "ffn_norm",
  post_feedforward_layernorm: "post_ffw_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

function llamaName(name: string): string {
  if (name === "model.embed_tokens.weight") return "token_embd.weight";
  if (name === "model.norm.weight") return "output_norm.weight";
  const [, layer, part] = must(/^model\.layers\.(\d+)\.(.*)\.weight$/.exec(name), name);
  return `blk.${String(layer)}.${must(LLAMA[String(part)], name)}.weight`;
}
