/** @file Rows with spans for numeric tests: pairs of unequal length, and pairs whose every word is a span. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { must } from "../../src/base/assert.js";
import { type ParquetRow, readParquet } from "../../src/artifacts/parquet.js";
import { runPaths } from "../../src/run/run-folder.js";
import { TINY_A } from "./golden.js";

/** The rows of a table of a run. */
export async function rowsOf(folder: string, name: string): Promise<ParquetRow[]> {
  return (await readParquet(runPaths(folder).artifact(name))).rows;
}

const FOLDER = mkdtempSync(join(tmpdir(), "patchbay-spans-"));

/** Writes a dataset and gives its path. */
function written(name: string, rows: readonly object[]): string {
  const path = join(FOLDER, `${name}.jsonl`);
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return path;
}

/** A row whose parts are joined by spaces; `subject` and `link` are spans, what stands before and behind is in none. */
interface Parts {
  readonly subject: readonly [clean: string, patch: string];
  readonly link: readonly [clean: string, patch: string];
  readonly rest: string;
  readonly answers: readonly [clean: string, patch: string];
}

/** Subjects and links of other numbers of tokens on both sides, longer in one or the other. */
const UNEQUAL: readonly Parts[] = [
  { subject: ["old cats", "cat"], link: ["near", "near"], rest: "the cat", answers: [" are", " is"] },
  { subject: ["dog", "big old dogs"], link: ["that", "that"], rest: "the king sees", answers: [" is", " are"] },
  { subject: ["big old girls", "old girl"], link: ["by the", "near"], rest: "dog", answers: [" have", " has"] },
  { subject: ["boys", "boy"], link: ["near the", "near the"], rest: "big cow", answers: [" are", " is"] },
  // The layout of the first row, so that two prompts run together.
  { subject: ["big kings", "king"], link: ["by", "by"], rest: "the dog", answers: [" have", " has"] },
];

function rowOf({ subject, link, rest, answers }: Parts): object {
  const sides = [0, 1].map((side) => {
    const [own, joint] = [must(subject[side], "subject"), must(link[side], "link")];
    const [start, after] = [4, 4 + own.length + 1];
    return { text: `The ${own} ${joint} ${rest}`, subject: [start, start + own.length], link: [after, after + joint.length] }; // prettier-ignore
  });
  const [clean, patch] = [must(sides[0], "clean"), must(sides[1], "patch")];
  return {
    clean_prefix: clean.text,
    patch_prefix: patch.text,
    clean_answer: answers[0],
    patch_answer: answers[1],
    spans: {
      subject: { clean: clean.subject, patch: patch.subject },
      link: { clean: clean.link, patch: patch.link },
    },
  };
}

/** Pairs of unequal length, with the spans `subject`, `link` and, added, `answer`. @param held - with other words in front of each rest. */
export function unequalRows(held = false): string {
  const rows = UNEQUAL.map((parts) => (held ? { ...parts, rest: `old ${parts.rest.replace("the ", "")}` } : parts));
  return written(held ? "held" : "unequal", rows.map(rowOf));
}

/** The fixture's first pairs, and the same with each word as a span; the word at token t is the span t - 1. */
export function wordRows(count: number): { readonly plain: string; readonly spans: string } {
  const lines = readFileSync(resolve(TINY_A, "data/pairs.jsonl"), "utf8").trimEnd().split("\n").slice(0, count);
  const rows = lines.map((line) => JSON.parse(line) as { clean_prefix: string; patch_prefix: string });
  return { plain: written("plain", rows), spans: written("words", rows.map(withWords)) };
}

function withWords(row: { readonly clean_prefix: string; readonly patch_prefix: string }): object {
  const [clean, patch] = [row.clean_prefix, row.patch_prefix].map(wordsOf);
  const spans = must(clean, "clean").slice(0, -1).map((range, i) => [`word${String(i)}`, { clean: range, patch: patch?.[i] }]); // prettier-ignore
  return { ...row, spans: Object.fromEntries(spans) as object };
}

/** The characters of each word. */
function wordsOf(text: string): [number, number][] {
  return Array.from(text.matchAll(/\S+/g), ({ 0: word, index }) => [index, index + word.length]);
}
