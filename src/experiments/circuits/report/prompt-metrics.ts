/** @file What circuits leave of each prompt's metric. */
import { hasArtifact } from "../../../run/artifacts.js";
import { artifactRows } from "../../../artifacts/artifact-rows.js";
import { groupIndexes } from "../../../stats/clusters.js";
import type { RunContents } from "../../../report/run-contents.js";
import { CIRCUIT_PROMPTS_FILE } from "../circuit-files.js";
import { promptFaithfulness, type PromptMetrics, promptMetricsOf } from "../circuit-ratios.js";
import type { CircuitRow } from "./circuit-row.js";

/** One prompt's side under one circuit. */
export interface MeasuredPrompt extends PromptMetrics {
  readonly prompt: number;
  readonly side: string;
  /** NaN where the full model and the empty circuit have the same metric. */
  readonly faithfulness: number;
}

/** A circuit with all prompts. */
export interface CircuitPrompts {
  readonly circuit: string;
  readonly rows: readonly MeasuredPrompt[];
}

/** Prompts are shown one by one for experiments of at most this many circuits: those that ask about few. */
const FEW_CIRCUITS = 4;

/** The circuits of experiments that have few, each with its prompts. */
export async function promptsOfFew(
  { folder }: Pick<RunContents, "folder">,
  circuits: readonly CircuitRow[] | null,
): Promise<CircuitPrompts[]> {
  if (circuits === null || !hasArtifact(folder, CIRCUIT_PROMPTS_FILE)) return [];
  const groups = [...groupIndexes(circuits.map(({ experiment }) => experiment)).values()];
  const shown = groups.filter((group) => group.length <= FEW_CIRCUITS).flat();
  const byCircuit = new Map(shown.map((i) => [circuits[i]?.circuit ?? "", [] as MeasuredPrompt[]]));
  if (byCircuit.size === 0) return [];
  const columns = ["circuit", "prompt", "side", "metric_circuit", "metric_full", "metric_empty"];
  for await (const row of artifactRows(folder, CIRCUIT_PROMPTS_FILE, columns)) {
    const own = byCircuit.get(String(row["circuit"]));
    if (own === undefined) continue;
    const metrics = promptMetricsOf(row);
    const faithfulness = promptFaithfulness(metrics);
    own.push({
      prompt: Number(row["prompt"]),
      side: String(row["side"]),
      ...metrics,
      faithfulness: Number.isFinite(faithfulness) ? faithfulness : Number.NaN,
    });
  }
  return [...byCircuit].map(([circuit, rows]) => ({ circuit, rows }));
}
