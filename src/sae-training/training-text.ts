/**
 * @file Text that SAEs are trained on, as token sequences.
 *
 * 1. A file is `.txt` (one document) or `.jsonl` (a document in the field `text` of each line); a folder is all of its files.
 * 2. Documents are cut at white space into pieces; equal pieces count once; all pieces are shuffled together.
 * 3. Each piece is tokenised and cut into sequences of a BOS and at most CONTEXT - 1 tokens.
 * 4. Every tenth piece is held out until enough tokens are; the others are for training, until there are as many as asked for.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { badInput } from "../base/errors.js";
import { sha256 } from "../base/hash.js";
import { parseJson, readTextFile, unreadable } from "../base/read-file.js";
import { createRng } from "../base/rng.js";
import type { Tokenizer } from "../prompts/tokenizer.js";

/** Tokens of a sequence at most, its BOS included. */
export const CONTEXT = 128;
/** Characters of a piece at most, unless a word is longer. */
const PIECE_CHARACTERS = 2000;
const HELD_OUT_EVERY = 10;
const HELD_OUT_TOKENS = 20_000;

/** Sequences of token ids, each with a BOS in front. */
export type Sequences = readonly (readonly number[])[];

/** Text as sequences. Tokens are counted without the BOS. */
export interface TrainingText {
  readonly training: Sequences;
  readonly heldOut: Sequences;
  readonly trainingTokens: number;
  readonly heldOutTokens: number;
}

const lineSchema = z.looseObject({ text: z.string() });

/**
 * Reads the documents of a file or folder, in name order.
 * @throws PatchbayError `bad_input` for other files, text that is not UTF-8, or a line without text.
 */
export function readDocuments(path: string): string[] {
  return filesOf(path).flatMap((file) => {
    const text = readTextFile(file);
    if (file.endsWith(".txt")) return [text];
    const lines = text.split("\n").map((line, i) => [line, i + 1] as const);
    return lines
      .filter(([line]) => line.trim() !== "")
      .map(([line, number]) => parseJson(line, lineSchema, { file, line: number }).text);
  });
}

function filesOf(path: string): string[] {
  const isText = (name: string): boolean => /\.(txt|jsonl)$/.test(name);
  const expected = "expected a .txt or .jsonl file, or a folder of them";
  try {
    if (!statSync(path).isDirectory()) {
      if (!isText(path)) throw badInput(`${expected}, got another file`, { file: path });
      return [path];
    }
    const names = readdirSync(path).filter(isText).sort();
    if (names.length === 0) throw badInput(`${expected}, got none in it`, { file: path });
    return names.map((name) => join(path, name));
  } catch (error) {
    throw error instanceof Error && "code" in error && typeof error.code === "string" && error.code.startsWith("E")
      ? unreadable(path, error)
      : error;
  }
}

/** SHA-256 of the documents. */
export function fingerprintText(documents: readonly string[]): string {
  return sha256(JSON.stringify(documents.map(sha256)));
}

/** The documents' distinct pieces, in order. */
export function cutPieces(documents: readonly string[]): string[] {
  const pieces = new Set<string>();
  for (const document of documents) {
    let start = 0;
    while (start < document.length) {
      const end = pieceEnd(document, start);
      const piece = document.slice(start, end).trim();
      if (piece !== "") pieces.add(piece);
      start = end;
    }
  }
  return [...pieces];
}

/** The last white space within reach, or the first one beyond. */
function pieceEnd(document: string, start: number): number {
  if (document.length - start <= PIECE_CHARACTERS) return document.length;
  const space = /\s/g;
  let last = -1;
  space.lastIndex = start + 1;
  for (let match = space.exec(document); match !== null; match = space.exec(document)) {
    if (match.index > start + PIECE_CHARACTERS && last !== -1) break;
    last = match.index;
    if (match.index > start + PIECE_CHARACTERS) break;
  }
  return last === -1 ? document.length : last;
}

/**
 * Tokenises shuffled pieces until there are `tokens` of them for training, or the text ends.
 * @throws PatchbayError `bad_input` when there is too little text to hold some out.
 */
export function tokenizeText(
  documents: readonly string[],
  tokenizer: Tokenizer,
  tokens: number,
  seed: number,
): TrainingText {
  const [training, heldOut] = [
    { sequences: [] as number[][], tokens: 0 },
    { sequences: [] as number[][], tokens: 0 },
  ];
  for (const [i, piece] of createRng(seed, "sae text").shuffle(cutPieces(documents)).entries()) {
    if (training.tokens >= tokens) break;
    const into = i % HELD_OUT_EVERY === 0 && heldOut.tokens < HELD_OUT_TOKENS ? heldOut : training;
    const { start } = tokenizer;
    const ids = tokenizer.encode(piece).slice(start.length);
    const room = CONTEXT - start.length;
    for (let from = 0; from < ids.length; from += room)
      into.sequences.push([...start, ...ids.slice(from, from + room)]);
    into.tokens += ids.length;
  }
  if (training.tokens === 0)
    throw badInput(
      `expected text of more than ${PIECE_CHARACTERS} characters with white space between words, got less: none is left beside what is held out`,
      { field: "--text" },
    );
  return {
    training: training.sequences,
    heldOut: heldOut.sequences,
    trainingTokens: training.tokens,
    heldOutTokens: heldOut.tokens,
  };
}
