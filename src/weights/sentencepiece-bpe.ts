/**
 * @file A SentencePiece BPE vocabulary (pieces with scores) as vocabulary and merges.
 *
 * SentencePiece joins the neighbours whose joint piece has the highest score; a merge list says the same by rank:
 *
 * 1. Every way of cutting a piece into two pieces of the vocabulary is a merge.
 * 2. Merges are ordered by the joint piece's score, highest first; then longer left part, longer right part, lower id.
 *
 * Control, unknown and byte pieces are never made by merging. Source: Hugging Face transformers,
 * `convert_slow_tokenizer.generate_merges`.
 */
import { must } from "../base/assert.js";
import { SPACE, type SentencePieceBpe } from "./sentencepiece-json.js";

/** SentencePiece's kinds of piece, by their number in files. */
export const PIECE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** A vocabulary as files hold it: by id. */
export interface SentencePieces {
  readonly pieces: readonly string[];
  readonly scores: readonly number[];
  readonly kinds: readonly number[];
  readonly bosId: number;
}

interface Cut {
  readonly left: string;
  readonly right: string;
  readonly score: number;
  readonly leftLength: number;
  readonly rightLength: number;
}

/** Vocabulary, merges and added tokens. User-defined pieces stand above all others, as in SentencePiece. */
export function bpeOfSentencePieces({ pieces, scores, kinds, bosId }: SentencePieces): SentencePieceBpe {
  const spelled = pieces.map((piece, id) => (kinds[id] === PIECE.userDefined ? piece.replaceAll(" ", SPACE) : piece));
  const vocabulary = new Map(spelled.map((piece, id) => [piece, id]));
  const cuts = spelled.flatMap((piece, id) => {
    const kind = kinds[id];
    if (kind !== PIECE.normal && kind !== PIECE.userDefined) return [];
    return cutsOf(piece, kind === PIECE.userDefined ? Infinity : must(scores[id], "score"), vocabulary);
  });
  cuts.sort(
    (a, b) =>
      (a.score === b.score ? 0 : b.score - a.score) || b.leftLength - a.leftLength || b.rightLength - a.rightLength,
  );
  const added = spelled.flatMap((content, id) => {
    const special = kinds[id] === PIECE.control || kinds[id] === PIECE.unknown;
    return special || kinds[id] === PIECE.userDefined ? [{ id, content, special }] : [];
  });
  return { vocabulary, merges: cuts.map(({ left, right }) => [left, right] as const), added, bosId };
}

function cutsOf(piece: string, score: number, vocabulary: ReadonlyMap<string, number>): Cut[] {
  const characters = Array.from(piece);
  const cuts: Cut[] = [];
  for (let at = 1, units = 0; at < characters.length; at++) {
    units += must(characters[at - 1], "character").length;
    const [left, right] = [piece.slice(0, units), piece.slice(units)];
    if (vocabulary.has(left) && vocabulary.has(right))
      cuts.push({ left, right, score, leftLength: at, rightLength: characters.length - at });
  }
  return cuts;
}
