/** @file The metrics of the two unablated runs of every prompt, from whichever table of the run has them. */
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { artifactFile, checkArtifact, hasArtifact } from "../run/artifacts.js";
import type { ParquetRow } from "../artifacts/parquet.js";

/** Metric of one prompt's two unablated runs. */
export interface Baseline {
  readonly prompt: number;
  readonly clean: number;
  readonly corrupted: number;
}

/** Rows that {@link readBaseline} holds at once. */
const ROWS_AT_ONCE = 50_000;

/** Metrics of the unablated runs, from the truth, else from the circuits (whose sign is turned back). */
export async function readBaseline(folder: string, prompts: number): Promise<Baseline[] | null> {
  const byPrompt = new Map<number, { clean: number; corrupted: number }>();
  const take = (prompt: number, side: "clean" | "corrupted", metric: number): void => {
    const found = byPrompt.get(prompt) ?? { clean: Number.NaN, corrupted: Number.NaN };
    found[side] = metric;
    byPrompt.set(prompt, found);
  };
  // Every node repeats its prompts' metrics: the rows are read until each prompt was seen.
  const seen = (): boolean =>
    byPrompt.size === prompts && [...byPrompt.values()].every((one) => !Number.isNaN(one.corrupted));
  if (hasArtifact(folder, "truth.parquet")) {
    for await (const row of rowsOf(folder, "truth.parquet", ["prompt", "metric_clean", "metric_corrupted"], seen)) {
      take(Number(row["prompt"]), "clean", Number(row["metric_clean"]));
      take(Number(row["prompt"]), "corrupted", Number(row["metric_corrupted"]));
    }
  } else if (hasArtifact(folder, "circuits-prompts.parquet")) {
    for await (const row of rowsOf(folder, "circuits-prompts.parquet", ["prompt", "side", "metric_full"], seen)) {
      const clean = row["side"] === "clean";
      take(Number(row["prompt"]), clean ? "clean" : "corrupted", Number(row["metric_full"]) * (clean ? -1 : 1));
    }
  }
  if (byPrompt.size === 0) return null;
  return [...byPrompt].map(([prompt, metrics]) => ({ prompt, ...metrics })).sort((a, b) => a.prompt - b.prompt);
}

/** Some columns of a table, row by row, until `enough`; asked once for each chunk of rows. */
async function* rowsOf(
  folder: string,
  name: string,
  columns: string[],
  enough: () => boolean,
): AsyncGenerator<ParquetRow> {
  await checkArtifact(folder, name);
  const file = await asyncBufferFromFile(artifactFile(folder, name).path);
  const total = Number((await parquetMetadataAsync(file)).num_rows);
  for (let rowStart = 0; rowStart < total && !enough(); rowStart += ROWS_AT_ONCE) {
    yield* await parquetReadObjects({ file, columns, rowStart, rowEnd: Math.min(total, rowStart + ROWS_AT_ONCE) });
  }
}
