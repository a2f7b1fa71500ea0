/** @file `joint.parquet`: what patching whole sets at once does to each prompt, a row for each set and prompt. */
import { must } from "../base/assert.js";
import type { ReadArtifact } from "../run/artifacts.js";
import { JOINT_FILE } from "../run/stage-artifacts.js";
import { artifactMetadata, type Provenance } from "./artifact-metadata.js";
import { type Column, decodeParquet, encodeParquet } from "./parquet.js";

/** A prompt with all nodes of a set patched at once. */
export interface JointRow {
  readonly prompt: number;
  readonly metricClean: number;
  /** NaN for a plain dataset. */
  readonly metricCorrupted: number;
  readonly metricPatched: number;
}

/** A set that is patched all at once. */
export interface JointSet {
  /** Its name in the sweep. */
  readonly set: string;
  /** Its number in `sets.parquet`. */
  readonly list: number;
  /** Nodes. */
  readonly size: number;
  /** Sums of its nodes' mean scores, by the scores' names. */
  readonly scores: ReadonlyMap<string, number>;
  /** By prompt, ascending. */
  readonly rows: readonly JointRow[];
}

/** A column of sums, which may be called like any other column. */
const sumOf = (score: string): string => `sum(${score})`;

/** Writes the sets. @param scores - names of the sums. */
export function encodeJoint(sets: readonly JointSet[], scores: readonly string[], provenance: Provenance): Uint8Array {
  const rows = sets.flatMap((set) => set.rows.map((row) => ({ ...row, of: set })));
  const whole = (name: string, read: (row: (typeof rows)[number]) => number): Column => ({
    name,
    type: "INT32",
    values: Int32Array.from(rows, read),
  });
  const float = (name: string, read: (row: (typeof rows)[number]) => number): Column => ({
    name,
    type: "DOUBLE",
    values: Float64Array.from(rows, read),
  });
  const columns: Column[] = [
    { name: "set", type: "STRING", values: rows.map(({ of }) => of.set) },
    whole("list", ({ of }) => of.list),
    whole("size", ({ of }) => of.size),
    whole("prompt", ({ prompt }) => prompt),
    float("metric_clean", ({ metricClean }) => metricClean),
    float("metric_corrupted", ({ metricCorrupted }) => metricCorrupted),
    float("metric_patched", ({ metricPatched }) => metricPatched),
    ...scores.map((name) => float(sumOf(name), ({ of }) => must(of.scores.get(name), name))),
  ];
  return encodeParquet([columns], artifactMetadata(provenance, "none"));
}

/** Reads the sets in order. @param scores - names of the sums. */
export async function readJoint(read: ReadArtifact, scores: readonly string[]): Promise<JointSet[]> {
  const { rows } = await decodeParquet(await read(JOINT_FILE));
  const sets = new Map<string, Omit<JointSet, "rows"> & { readonly rows: JointRow[] }>();
  for (const row of rows) {
    const set = String(row["set"]);
    const known = sets.get(set) ?? {
      set,
      list: Number(row["list"]),
      size: Number(row["size"]),
      scores: new Map(scores.map((name) => [name, Number(row[sumOf(name)])])),
      rows: [],
    };
    sets.set(set, known);
    known.rows.push({
      prompt: Number(row["prompt"]),
      metricClean: Number(row["metric_clean"]),
      metricCorrupted: Number(row["metric_corrupted"]),
      metricPatched: Number(row["metric_patched"]),
    });
  }
  return [...sets.values()];
}
