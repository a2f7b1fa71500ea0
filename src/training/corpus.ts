/** @file Batches of training sentences as token ids, padded to one length so that every step has the same shapes. */
import { assert } from "../base/assert.js";
import type { Rng } from "../base/rng.js";
import { drawSentence } from "./grammar.js";
import { encodeSentence, TOKEN_IDS, type Bpe } from "./tokenizer-files.js";

/** Tokens of the longest sentence, with BOS and EOS: "The N that the N V V C ." */
export const SENTENCE_TOKENS = 11;

/** A batch of sentences, row by row. */
export interface SentenceBatch {
  /** Token ids `[B, T]`, padded at the end. */
  readonly ids: Int32Array;
  /** How many tokens of each row are no padding, `[B]`. */
  readonly lengths: Int32Array;
  readonly batch: number;
  readonly T: number;
}

/** Draws `batch` sentences: BOS, words, full stop, EOS. */
export function drawBatch(bpe: Bpe, batch: number, rng: Rng): SentenceBatch {
  const T = SENTENCE_TOKENS;
  const ids = new Int32Array(batch * T).fill(TOKEN_IDS.pad);
  const lengths = new Int32Array(batch);
  for (let row = 0; row < batch; row++) {
    const tokens = [...encodeSentence(bpe, drawSentence(rng).text), TOKEN_IDS.eos];
    assert(tokens.length <= T, `a sentence of ${String(tokens.length)} tokens`);
    ids.set(tokens, row * T);
    lengths[row] = tokens.length;
  }
  return { ids, lengths, batch, T };
}
