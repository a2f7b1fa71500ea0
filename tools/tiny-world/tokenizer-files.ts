/** @file The tiny world's tokenizer in Gemma's style: byte-fallback BPE, spaces as "▁", BOS in front, a chat template. */
import { must } from "../../src/base/assert.js";
import { addedToken, sentencePieceJson, SPACE } from "../../src/weights/sentencepiece-json.js";
import { learnMerges, type Merge } from "./bpe.js";
import { vocabularyWords } from "./words.js";

/** Special tokens; the index is the id, as in Gemma for the first four. */
export const SPECIAL_TOKENS = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"] as const;

/** Ids that training and the model's config need. */
export const TOKEN_IDS = { pad: 0, eos: 1, bos: 2 } as const;

/** Longest sequence the tokenizer and the model's config promise. */
export const MAX_POSITIONS = 64;

const PUNCTUATION = "\n!'(),.:?";
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const DIGITS = "0123456789";
const CHAT_WORDS = ["user", "model", "True", "False", "▁True", "▁False", "▁The", "▁a"];

/** Vocabulary and merges. */
export interface Bpe {
  /** Token to id. */
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly merges: readonly Merge[];
}

/** Builds the vocabulary: special tokens, 256 bytes, single characters, then one token for each merge. */
export function buildBpe(): Bpe {
  const { inner, first } = vocabularyWords();
  const merges = learnMerges([...first, ...inner.map((word) => SPACE + word), ...CHAT_WORDS]);
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  const characters = Array.from(PUNCTUATION + DIGITS + LETTERS + SPACE);
  const tokens = [...SPECIAL_TOKENS, ...bytes, ...characters, ...merges.map(([left, right]) => left + right)];
  return { vocabulary: new Map([...new Set(tokens)].map((token, id) => [token, id])), merges };
}

/** Id of a word: "The" stands first in a text, every other word follows a space. */
export function wordId({ vocabulary }: Bpe, word: string): number {
  return must(vocabulary.get(word === "The" ? word : SPACE + word), `token ${word}`);
}

/** Id of the full stop. */
export function fullStopId({ vocabulary }: Bpe): number {
  return must(vocabulary.get("."), "full stop");
}

/** The tokenizer's files: name to text. */
export function tokenizerFiles(bpe: Bpe): Map<string, string> {
  const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;
  return new Map([
    ["tokenizer.json", json(tokenizerJson(bpe))],
    ["tokenizer_config.json", json(tokenizerConfig())],
    ["special_tokens_map.json", json(specialTokensMap())],
    ["chat_template.jinja", CHAT_TEMPLATE],
  ]);
}

function tokenizerJson({ vocabulary, merges }: Bpe): unknown {
  const added = SPECIAL_TOKENS.map((content, id) => ({ id, content, special: true }));
  return sentencePieceJson({ vocabulary, merges, added, bosId: TOKEN_IDS.bos }, { bos: "<bos>", unk: "<unk>" });
}

function tokenizerConfig(): unknown {
  return {
    added_tokens_decoder: Object.fromEntries(SPECIAL_TOKENS.map((content, id) => [id, addedToken(content, true)])),
    ...specialTokensMap(),
    chat_template: CHAT_TEMPLATE,
    clean_up_tokenization_spaces: false,
    model_max_length: MAX_POSITIONS,
    padding_side: "left",
    tokenizer_class: "PreTrainedTokenizerFast",
  };
}

function specialTokensMap(): Record<string, unknown> {
  return {
    additional_special_tokens: ["<start_of_turn>", "<end_of_turn>"],
    bos_token: "<bos>",
    eos_token: "<eos>",
    pad_token: "<pad>",
    unk_token: "<unk>",
  };
}

/** Gemma's turn format: roles "user" and "model". */
const CHAT_TEMPLATE = [
  "{{ bos_token }}",
  "{% for message in messages %}",
  "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}",
  "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}",
  "{% endfor %}",
  "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}",
].join("");
