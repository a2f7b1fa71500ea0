/** @file Dataset files: JSON lines of contrast pairs, of plain prompts or of questions, every fault located by file, line and field. */
import { readdirSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { badInput, type ErrorDetail } from "../base/errors.js";
import { FaultList } from "../base/fault-list.js";
import { canonicalJson, sha256 } from "../base/hash.js";
import { checked, parseJson, readTextFile, unreadable } from "../base/read-file.js";
import { choiceQuestion, statementQuestion } from "./question-rows.js";
import { type RowSpan, readSpans, spanNames, spansField } from "./row-spans.js";

/** Where a row stands. */
interface RowPlace {
  /** Name of the file, without its folder. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  /** What the row shares with others that are not independent of it, where the file says so. */
  readonly cluster?: string;
}

/** A clean prompt and its corrupted twin, whose answer is the incorrect one. */
export interface PairRow extends RowPlace {
  readonly kind: "pair";
  readonly cleanPrefix: string;
  readonly patchPrefix: string;
  readonly cleanAnswer: string;
  readonly patchAnswers: readonly string[];
  /** The row's family, where the file says one. */
  readonly case?: string;
  /** What stands for positions, where the row names it. */
  readonly spans?: readonly RowSpan[];
}

/** A prompt without a corrupted twin: as the row writes it, or made of a question. */
export interface PlainRow extends RowPlace {
  readonly kind: "plain" | "multiple choice" | "true or false";
  /** What a template puts together, of a question. */
  readonly parts?: Readonly<Record<string, string>>;
  readonly prompt: string;
  readonly trueAnswer: string;
  readonly falseAnswers: readonly string[];
}

/** One line of a dataset. */
export type DatasetRow = PairRow | PlainRow;

const answers = z.union(
  [z.string().transform((one) => [one]), z.array(z.string()).min(1, "expected at least one answer, got none")],
  {
    error: ({ input }) =>
      `expected a string or a list of strings, got ${input === undefined ? "nothing: the field is missing" : JSON.stringify(input)}`,
  },
);
const cluster = z
  .string()
  .min(1, "expected a name, got an empty one; leave the field out where there is none")
  .optional();
const pairSchema = z.object({
  clean_prefix: z.string(),
  patch_prefix: z.string(),
  clean_answer: z.string(),
  patch_answer: answers,
  case: z.string().optional(),
  spans: spansField,
  cluster,
});
const plainSchema = z.object({ prompt: z.string(), true_answer: z.string(), false_answer: answers, cluster });
const clusterSchema = z.object({ cluster });
const lineSchema = z.record(z.string(), z.unknown());

/**
 * Reads a dataset: a JSON-lines file, or a folder whose `.jsonl` files are read in name order. Blank lines are skipped.
 * @throws PatchbayError `bad_input` naming file, line and field of every fault; also when there is no row, or when kinds of rows are mixed.
 */
export function readDataset(path: string): DatasetRow[] {
  const faults = new FaultList();
  const rows = filesOf(path).flatMap((file) => faults.attempt(() => readRows(file)) ?? []);
  faults.throwIfAny();
  const [first] = rows;
  if (first === undefined) throw badInput("expected at least one row, got none", { file: path });
  const other = rows.find(({ kind }) => kind !== first.kind);
  if (other !== undefined) {
    throw badInput(
      `expected a ${first.kind} row as in ${first.file}:${String(first.line)}, got a ${other.kind} row; use two datasets`,
      { file: other.file === basename(path) ? path : join(path, other.file), line: other.line },
    );
  }
  checkSpanNames(rows, path);
  return rows;
}

/** Positions are the same in every row. @throws PatchbayError `bad_input` naming file and line of a row with other spans than the first. */
function checkSpanNames([first, ...rows]: readonly DatasetRow[], path: string): void {
  const namesOf = (row: DatasetRow | undefined): string =>
    spanNames(row?.kind === "pair" ? row.spans : undefined).join(", ");
  const other = rows.find((row) => namesOf(row) !== namesOf(first));
  if (first === undefined || other === undefined) return;
  const said = (names: string): string => (names === "" ? "no spans" : `the spans ${names}`);
  throw badInput(
    `expected ${said(namesOf(first))} as in ${first.file}:${String(first.line)}, got ${said(namesOf(other))}; every row names the same spans in the same order`,
    { file: other.file === basename(path) ? path : join(path, other.file), line: other.line, field: "spans" },
  );
}

/**
 * SHA-256 of the dataset's bytes (of its files' hashes, for a folder); its name and place do not enter.
 * @throws PatchbayError `bad_input` when it cannot be read.
 */
export async function fingerprintDataset(path: string): Promise<string> {
  const hashes = await Promise.all(filesOf(path).map(async (file) => sha256(await readFile(file))));
  return hashes.length === 1 ? (hashes[0] as string) : sha256(canonicalJson(hashes));
}

function filesOf(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const names = readdirSync(path).filter((name) => name.endsWith(".jsonl"));
    return names.sort().map((name) => join(path, name));
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Some lines of a dataset as they stand in its files, one after the other. @param places - file names without folder, and lines from 1. */
export function datasetLines(
  path: string,
  places: readonly { readonly file: string; readonly line: number }[],
): string {
  const linesOf = new Map(filesOf(path).map((file) => [basename(file), readTextFile(file).split("\n")]));
  return places.map(({ file, line }) => `${linesOf.get(file)?.[line - 1]?.trim() ?? ""}\n`).join("");
}

/** @throws PatchbayError `bad_input` with the faults of all lines. */
function readRows(path: string): DatasetRow[] {
  const faults = new FaultList();
  const rows = readTextFile(path)
    .split("\n")
    .flatMap((text, index) => (text.trim() === "" ? [] : (faults.attempt(() => readRow(text, path, index + 1)) ?? [])));
  faults.throwIfAny();
  return rows;
}

function clusterOf({ cluster }: { readonly cluster?: string | undefined }): Pick<RowPlace, "cluster"> {
  return cluster === undefined ? {} : { cluster };
}

function clusterIn(fields: Readonly<Record<string, unknown>>, where: ErrorDetail): Pick<RowPlace, "cluster"> {
  return clusterOf(checked(fields, clusterSchema, where));
}

function readRow(text: string, path: string, line: number): DatasetRow {
  const where: ErrorDetail = { file: path, line };
  const place = { file: basename(path), line };
  const fields = parseJson(text, lineSchema, where);
  if ("clean_prefix" in fields || "patch_prefix" in fields) {
    const row = parseJson(text, pairSchema, where);
    const texts = { cleanPrefix: row.clean_prefix, patchPrefix: row.patch_prefix };
    const spans = readSpans(row.spans, texts, where);
    return {
      ...place,
      kind: "pair",
      ...texts,
      cleanAnswer: row.clean_answer,
      patchAnswers: row.patch_answer,
      ...(row.case === undefined ? {} : { case: row.case }),
      ...(spans === undefined ? {} : { spans }),
      ...clusterOf(row),
    };
  }
  if ("spans" in fields) throw badInput("is built for rows of pairs alone; leave it out", { ...where, field: "spans" });
  if ("prompt" in fields) {
    const row = parseJson(text, plainSchema, where);
    const { prompt, true_answer: trueAnswer, false_answer: falseAnswers } = row;
    return { ...place, kind: "plain", prompt, trueAnswer, falseAnswers, ...clusterOf(row) };
  }
  if ("question" in fields)
    return { ...place, kind: "multiple choice", ...choiceQuestion(fields, where), ...clusterIn(fields, where) };
  if ("statement" in fields)
    return { ...place, kind: "true or false", ...statementQuestion(fields, where), ...clusterIn(fields, where) };
  const got = Object.keys(fields).slice(0, 8).join(", ");
  throw badInput(
    `expected clean_prefix, patch_prefix, clean_answer and patch_answer; or prompt, true_answer and false_answer; or question, choices and answerKey; or statement and label; got ${got === "" ? "no field" : got}`,
    where,
  );
}
