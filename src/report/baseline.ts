/** @file The metrics of the two unablated runs of every prompt, from whichever table of the run has them. */
import { artifactRows } from "../artifacts/artifact-rows.js";
import { hasArtifact } from "../run/artifacts.js";

/** Metric of one prompt's two unablated runs. */
export interface Baseline {
  readonly prompt: number;
  readonly clean: number;
  readonly corrupted: number;
}

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
    for await (const row of artifactRows(
      folder,
      "truth.parquet",
      ["prompt", "metric_clean", "metric_corrupted"],
      seen,
    )) {
      take(Number(row["prompt"]), "clean", Number(row["metric_clean"]));
      take(Number(row["prompt"]), "corrupted", Number(row["metric_corrupted"]));
    }
  } else if (hasArtifact(folder, "circuits-prompts.parquet")) {
    for await (const row of artifactRows(folder, "circuits-prompts.parquet", ["prompt", "side", "metric_full"], seen)) {
      const clean = row["side"] === "clean";
      take(Number(row["prompt"]), clean ? "clean" : "corrupted", Number(row["metric_full"]) * (clean ? -1 : 1));
    }
  }
  if (byPrompt.size === 0) return null;
  return [...byPrompt].map(([prompt, metrics]) => ({ prompt, ...metrics })).sort((a, b) => a.prompt - b.prompt);
}
