/** @file A finished run as comparisons read it: its plan, its nodes, and on demand its truth and its circuits. */
import { realpathSync } from "node:fs";
import { must } from "../base/assert.js";
import { badInput } from "../base/errors.js";
import { INDEX_FIELDS } from "../nodes/kinds.js";
import { nodeKey } from "../nodes/node.js";
import { nodeOfRow } from "../nodes/node-columns.js";
import { hasArtifact, readArtifact } from "../run/artifacts.js";
import { completeRun, readPlan, type RunFile } from "../run/run-folder.js";
import { evaluatedPrompts } from "../plan/held-out.js";
import type { Plan } from "../plan/plan.js";
import { decodeParquet, type ParquetRow } from "../artifacts/parquet.js";
import { CIRCUIT_PROMPTS_FILE, CIRCUITS_FILE } from "../experiments/circuits/circuit-files.js";
import { toCircuitRow, type CircuitRow } from "../experiments/circuits/report/circuit-row.js";
import { readNodes, type ListedNode } from "../experiments/truth/node-table.js";
import { SET_KIND } from "../experiments/truth/truth-row-groups.js";
import type { TruthTable } from "../experiments/truth/truth-table.js";
import { statusPhrase } from "../report/labels.js";
import { groupIndexes } from "../stats/clusters.js";

const TRUTH = "truth.parquet";

/** A run that may be compared. */
export interface ComparedRun {
  readonly folder: string;
  /** The one path of the folder: absolute, without links. */
  readonly path: string;
  readonly file: RunFile;
  readonly plan: Plan;
  /** Nodes whose true effects it measured; none where it measured none. */
  readonly nodes: readonly ListedNode[];
  readonly hasCircuits: boolean;
}

/**
 * Opens a finished run.
 * @throws PatchbayError `bad_input` where the run is not complete: what was given up is missing from its means; `damaged_artifact`.
 */
export async function openRun(folder: string): Promise<ComparedRun> {
  const file = completeRun(folder, (status) =>
    badInput(
      `expected a complete run; this one ${statusPhrase(status)}: see it to its end with the command that began it`,
      { file: folder, field: "status" },
    ),
  );
  const plan = readPlan(folder, file.plan_hash);
  const nodes = hasArtifact(folder, TRUTH) ? await readNodes((name) => readArtifact(folder, name)) : [];
  return {
    folder,
    path: realpathSync(folder),
    file,
    plan,
    nodes,
    hasCircuits: hasArtifact(folder, CIRCUIT_PROMPTS_FILE),
  };
}

/** Reads `truth.parquet`: what the run's own statistics were computed from. @throws PatchbayError `damaged_artifact`. */
export async function readTruth({ folder, plan, nodes }: ComparedRun): Promise<TruthTable> {
  const names = plan.sweep.scores.map(({ name }) => name);
  const columns = [
    "hook",
    "position",
    "global",
    ...INDEX_FIELDS,
    "prompt",
    "metric_clean",
    "metric_corrupted",
    "metric_patched",
    "ran",
  ];
  const { rows } = await decodeParquet(await readArtifact(folder, TRUTH), ["kind", ...columns, ...names]);
  const single = rows.filter((row) => row["kind"] !== SET_KIND);
  return truthOfRows(single, { nodes, prompts: evaluatedPrompts(plan).length, scores: names });
}

/** Rows of `truth.parquet` as the table that they were written from. Cells without a row are not present. */
export function truthOfRows(
  rows: readonly ParquetRow[],
  {
    nodes,
    prompts,
    scores: names,
  }: { readonly nodes: readonly ListedNode[]; readonly prompts: number; readonly scores: readonly string[] },
): TruthTable {
  const places = new Map(nodes.map((node, n) => [nodeKey(node), n]));
  const size = prompts * nodes.length;
  const scores = new Map(names.map((name) => [name, new Float64Array(size)]));
  const [metricClean, metricCorrupted] = [new Float64Array(prompts), new Float64Array(prompts)];
  const [metricPatched, present, ran] = [new Float64Array(size), new Uint8Array(size), new Uint8Array(size)];
  for (const row of rows) {
    const key = nodeKey(nodeOfRow(row));
    const prompt = Number(row["prompt"]);
    const cell = prompt * nodes.length + must(places.get(key), key);
    metricClean[prompt] = Number(row["metric_clean"]);
    metricCorrupted[prompt] = Number(row["metric_corrupted"]);
    metricPatched[cell] = Number(row["metric_patched"]);
    for (const [name, values] of scores) values[cell] = Number(row[name]);
    present[cell] = 1;
    ran[cell] = row["ran"] === false ? 0 : 1;
  }
  return { nodes, prompts, metricClean, metricCorrupted, metricPatched, present, ran, scores };
}

/** A circuit with the metrics of its rows, `[sides, P]`, in the evaluator's sign. */
export interface MeasuredCircuit {
  readonly row: CircuitRow;
  readonly circuit: Float64Array;
  /** NaN where complements were not evaluated. */
  readonly complement: Float64Array;
  readonly full: Float64Array;
  readonly empty: Float64Array;
}

/** Reads the circuits of a run with their rows. @throws PatchbayError `damaged_artifact`. */
export async function readCircuits({ folder }: ComparedRun): Promise<MeasuredCircuit[]> {
  const [described, measured] = [
    await decodeParquet(await readArtifact(folder, CIRCUITS_FILE)),
    await decodeParquet(await readArtifact(folder, CIRCUIT_PROMPTS_FILE)),
  ];
  const byCircuit = groupIndexes(measured.rows.map((row) => String(row["circuit"])));
  return described.rows.map(toCircuitRow).map((row) => {
    const own = must(byCircuit.get(row.circuit), row.circuit);
    const metric = (name: string): Float64Array => Float64Array.from(own, (i) => Number(measured.rows[i]?.[name]));
    return {
      row,
      circuit: metric("metric_circuit"),
      complement: metric("metric_complement"),
      full: metric("metric_full"),
      empty: metric("metric_empty"),
    };
  });
}
