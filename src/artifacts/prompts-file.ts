/** @file `prompts.parquet`: a row per kept prompt, with what people and joins need of it. */
import { must } from "../base/assert.js";
import { type Prompt, type Side, SIDES } from "../nodes/prompt.js";
import type { TokenRange } from "../nodes/span.js";
import type { PromptText } from "../prompts/prompt-text.js";
import { type PromptUse, promptUse } from "../plan/held-out.js";
import { spansOf } from "../plan/span-positions.js";
import { artifactMetadata, type Provenance } from "./artifact-metadata.js";
import { type Column, decodeParquet, encodeParquet, type ParquetRow } from "./parquet.js";

/** One prompt of a run. */
export interface PromptRow {
  /** The number that `prompt` columns of other artifacts have, from 0. */
  readonly prompt: number;
  readonly use: PromptUse;
  /** Its line, token ids and cluster. */
  readonly ids: Prompt;
  readonly text: PromptText;
}

/** Encodes the prompts of a plan. @param texts - the text of each. */
export function encodePrompts(provenance: Provenance, texts: readonly PromptText[]): Uint8Array {
  const { plan } = provenance;
  const rows = plan.prompts.map((ids, prompt) => ({
    prompt,
    use: promptUse(plan, prompt),
    ids,
    text: must(texts[prompt], "text"),
  }));
  const spans = spansOf(plan.sweep) === undefined ? [] : SIDES.map((side) => spanColumn(side, rows));
  return encodeParquet([[...columnsOf(rows), ...spans]], artifactMetadata(provenance, "none"));
}

/** Where spans stand in one side, in order: the first token of each, and the one behind its last. */
function spanColumn(side: Side, rows: readonly PromptRow[]): Column {
  const values = rows.map(({ ids }) => (ids.spans ?? []).flatMap((span) => [...span[side]]));
  return { name: `${side}_spans`, type: "INT32", list: true, nullable: true, values };
}

/** The spans of a row; nothing in files whose prompts have none. */
function spansIn(row: ParquetRow): Pick<Prompt, "spans"> {
  const [clean, corrupted] = SIDES.map((side) => rangesIn(row[`${side}_spans`]));
  if (clean === undefined || corrupted === undefined) return {};
  return { spans: clean.map((range, i) => ({ clean: range, corrupted: must(corrupted[i], "span") })) };
}

function rangesIn(bounds: unknown): TokenRange[] | undefined {
  if (!Array.isArray(bounds)) return undefined;
  const numbers = bounds.map(Number);
  return Array.from({ length: numbers.length / 2 }, (_, i) => [
    must(numbers[2 * i], "first token"),
    must(numbers[2 * i + 1], "token behind"),
  ]);
}

function columnsOf(rows: readonly PromptRow[]): Column[] {
  const integers = (name: string, of: (row: PromptRow) => number): Column => ({
    name,
    type: "INT32",
    values: Int32Array.from(rows, of),
  });
  const strings = (name: string, of: (row: PromptRow) => string): Column => ({
    name,
    type: "STRING",
    values: rows.map(of),
  });
  const optional = (name: string, of: (row: PromptRow) => string | null | undefined): Column => ({
    name,
    type: "STRING",
    nullable: true,
    values: rows.map((row) => of(row) ?? null),
  });
  const lists = (
    name: string,
    type: "STRING" | "INT32",
    of: (row: PromptRow) => readonly (string | number)[] | null | undefined,
  ): Column => ({ name, type, list: true, nullable: true, values: rows.map((row) => of(row) ?? null) });
  return [
    integers("prompt", ({ prompt }) => prompt),
    strings("use", ({ use }) => use),
    strings("dataset", ({ text }) => text.file),
    integers("line", ({ ids }) => ids.line),
    optional("case", ({ text }) => text.case),
    optional("cluster", ({ ids }) => ids.cluster),
    integers("length", ({ ids }) => ids.clean.length),
    strings("clean", ({ text }) => text.clean.text),
    optional("corrupted", ({ text }) => text.corrupted?.text),
    lists("clean_ids", "INT32", ({ ids }) => ids.clean),
    lists("corrupted_ids", "INT32", ({ ids }) => ids.corrupted),
    lists("clean_tokens", "STRING", ({ text }) => text.clean.tokens),
    lists("corrupted_tokens", "STRING", ({ text }) => text.corrupted?.tokens),
    strings("correct", ({ text }) => text.correct),
    integers("correct_id", ({ ids }) => ids.correct),
    lists("incorrect", "STRING", ({ text }) => text.incorrect),
    lists("incorrect_ids", "INT32", ({ ids }) => ids.incorrect),
  ];
}

/** Reads `prompts.parquet`. What a row of the dataset does not say is absent. */
export async function decodePrompts(bytes: Uint8Array): Promise<PromptRow[]> {
  return (await decodeParquet(bytes)).rows.map(toPromptRow);
}

function toPromptRow(row: ParquetRow): PromptRow {
  const { case: name, cluster, corrupted } = row;
  return {
    prompt: row["prompt"] as number,
    // Files of earlier versions have no such column: all rows did both.
    use: (row["use"] ?? "both") as PromptUse,
    ids: {
      line: row["line"] as number,
      clean: row["clean_ids"] as number[],
      corrupted: (row["corrupted_ids"] ?? null) as number[] | null,
      correct: row["correct_id"] as number,
      incorrect: row["incorrect_ids"] as number[],
      ...spansIn(row),
      ...(typeof cluster === "string" ? { cluster } : {}),
    },
    text: {
      file: row["dataset"] as string,
      ...(typeof name === "string" ? { case: name } : {}),
      clean: { text: row["clean"] as string, tokens: row["clean_tokens"] as string[] },
      corrupted:
        typeof corrupted === "string" ? { text: corrupted, tokens: row["corrupted_tokens"] as string[] } : null,
      correct: row["correct"] as string,
      incorrect: row["incorrect"] as string[],
    },
  };
}
