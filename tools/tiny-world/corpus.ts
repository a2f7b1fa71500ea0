/** @file Batches of training sentences as token ids, with what each position's next token should be. */
import { assert, must } from "../../src/base/assert.js";
import type { Rng } from "../../src/base/rng.js";
import { drawSentence, MAX_WORDS, type Sentence } from "./sentences.js";
import { fullStopId, TOKEN_IDS, wordId, type Bpe } from "./tokenizer-files.js";
import { CLAUSE_VERBS, INNER_VERBS, NOUNS } from "./words.js";

/** Tokens of the longest sentence, with BOS, full stop and EOS. Shorter ones are padded. */
export const SENTENCE_TOKENS = MAX_WORDS + 3;

/** Enough for a token to take no part in a prediction. */
const EXCLUDED = 1e4;

/** A batch of sentences: row `b * T + t` is position t of sentence b. R = B x T. */
export interface SentenceBatch {
  /** Token ids, padded at the end, `[R]`. */
  readonly ids: Int32Array;
  /** Share of each next token, `[R, V]`: sums to 1 over the row, or to 0 where nothing is to be predicted. */
  readonly targets: Float32Array;
  /** Taken off the logits, `[R, V]`: {@link EXCLUDED} at tokens that the split keeps out of the row's sentence, else 0. */
  readonly penalties: Float32Array;
  /** Number of rows that predict something. */
  readonly predictions: number;
}

/** Ids that {@link drawBatch} looks up for every sentence. */
export interface CorpusTokens {
  readonly bpe: Bpe;
  readonly vocabSize: number;
  /** Group of each noun form, by token id. */
  readonly nounGroup: ReadonlyMap<number, number>;
  /** Verb forms of each group. */
  readonly verbsOfGroup: ReadonlyMap<number, readonly number[]>;
}

/** Makes the look-up tables. */
export function corpusTokens(bpe: Bpe): CorpusTokens {
  const verbsOfGroup = new Map<number, number[]>();
  for (const { group, singular, plural } of [...CLAUSE_VERBS, ...INNER_VERBS])
    verbsOfGroup.set(group, [...(verbsOfGroup.get(group) ?? []), wordId(bpe, singular), wordId(bpe, plural)]);
  const nounGroup = new Map(
    NOUNS.flatMap(({ group, singular, plural }) =>
      [singular, plural].map((form) => [wordId(bpe, form), group] as const),
    ),
  );
  return { bpe, vocabSize: bpe.vocabulary.size, nounGroup, verbsOfGroup };
}

/**
 * Draws `batch` sentences.
 *
 * A verb's target is the exact share of its two forms, not the form that was drawn: the same expectation, less noise.
 * Verbs that the split keeps from a noun are excluded after that noun, so that the model learns nothing about them, not
 * even that they never come.
 */
export function drawBatch(tokens: CorpusTokens, batch: number, rng: Rng): SentenceBatch {
  const rows = batch * SENTENCE_TOKENS;
  const ids = new Int32Array(rows).fill(TOKEN_IDS.pad);
  const targets = new Float32Array(rows * tokens.vocabSize);
  const penalties = new Float32Array(rows * tokens.vocabSize);
  let predictions = 0;
  for (let b = 0; b < batch; b++) {
    const sentence = drawSentence(rng);
    const sequence = sentenceIds(tokens.bpe, sentence);
    assert(sequence.length <= SENTENCE_TOKENS, `a sentence of ${sequence.length} tokens`);
    ids.set(sequence, b * SENTENCE_TOKENS);
    predictions += sequence.length - 1;
    writeTargets(tokens, sentence, sequence, { targets, penalties, from: b * SENTENCE_TOKENS });
  }
  return { ids, targets, penalties, predictions };
}

/** Token ids of a sentence: BOS, words, full stop, EOS. */
export function sentenceIds(bpe: Bpe, { words }: Sentence): number[] {
  return [TOKEN_IDS.bos, ...words.map((word) => wordId(bpe, word)), fullStopId(bpe), TOKEN_IDS.eos];
}

interface Rows {
  readonly targets: Float32Array;
  readonly penalties: Float32Array;
  /** First row of the sentence. */
  readonly from: number;
}

function writeTargets(tokens: CorpusTokens, { verbs }: Sentence, sequence: readonly number[], rows: Rows): void {
  const { bpe, vocabSize, nounGroup, verbsOfGroup } = tokens;
  const barred = new Set<number>();
  for (let t = 0; t + 1 < sequence.length; t++) {
    const row = (rows.from + t) * vocabSize;
    const group = nounGroup.get(must(sequence[t], "token"));
    for (const id of group === undefined ? [] : must(verbsOfGroup.get(group), "verbs")) barred.add(id);
    for (const id of barred) rows.penalties[row + id] = EXCLUDED;
    const verb = verbs.find(({ at }) => at === t); // Word t is token t + 1.
    if (verb === undefined) rows.targets[row + must(sequence[t + 1], "next token")] = 1;
    else {
      rows.targets[row + wordId(bpe, verb.right)] = 1 - verb.errorRate;
      rows.targets[row + wordId(bpe, verb.wrong)] = verb.errorRate;
    }
  }
}
