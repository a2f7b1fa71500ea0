/** @file tokenizer.json of SentencePiece's kind of BPE: byte fallback, spaces as "▁", BOS in front. */
import type { SpecialTokens } from "../families/family.js";

/** What stands for a space inside tokens. */
export const SPACE = "▁";

/** A token that is found in a text before anything is merged. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Whether it is left out when text is made of tokens. */
  readonly special: boolean;
}

/** The parts that differ between tokenizers. */
export interface SentencePieceBpe {
  /** Token to id. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Earlier ones are applied first. */
  readonly merges: readonly (readonly [left: string, right: string])[];
  readonly added: readonly AddedToken[];
  readonly bosId: number;
}

/** The whole definition, ready for JSON. */
export function sentencePieceJson(
  { vocabulary, merges, added, bosId }: SentencePieceBpe,
  { bos, unk }: Pick<SpecialTokens, "bos" | "unk">,
): unknown {
  const inFront = (typeId: 0 | 1): unknown => ({ SpecialToken: { id: bos, type_id: typeId } });
  const sequence = (id: "A" | "B", typeId: 0 | 1): unknown => ({ Sequence: { id, type_id: typeId } });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added.map(({ id, content, special }) => ({ id, ...addedToken(content, special) })),
    normalizer: { type: "Replace", pattern: { String: " " }, content: SPACE },
    pre_tokenizer: { type: "Split", pattern: { String: " " }, behavior: "MergedWithPrevious", invert: false },
    post_processor: {
      type: "TemplateProcessing",
      single: [inFront(0), sequence("A", 0)],
      pair: [inFront(0), sequence("A", 0), inFront(1), sequence("B", 1)],
      special_tokens: { [bos]: { id: bos, ids: [bosId], tokens: [bos] } },
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: SPACE }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: unk,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary),
      merges,
    },
  };
}

/** How tokenizer files spell an added token. */
export function addedToken(content: string, special: boolean): Record<string, unknown> {
  return { content, single_word: false, lstrip: false, rstrip: false, normalized: false, special };
}
