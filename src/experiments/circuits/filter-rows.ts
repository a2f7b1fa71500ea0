/** @file Rows of a dataset that a run's circuits measured, and those of them that a filter keeps. */
import { existsSync } from "node:fs";
import { must } from "../../base/assert.js";
import { hasArtifact, readArtifact } from "../../run/artifacts.js";
import { completeRun, holdsRun, type RunFile } from "../../run/run-folder.js";
import { PROMPTS_FILE } from "../../run/stage-artifacts.js";
import { artifactRows } from "../../artifacts/artifact-rows.js";
import { decodeParquet, type ParquetRow } from "../../artifacts/parquet.js";
import { decodePrompts } from "../../artifacts/prompts-file.js";
import { type FilterFault, type MeasuredRows, rowKey } from "../../plan/plan-part.js";
import { conditionsOf, type RowCondition, type RowFilter } from "../../sweep/row-filter.js";
import { CIRCUIT_PROMPTS_FILE, CIRCUITS_FILE } from "./circuit-files.js";
import { promptFaithfulness, promptMetricsOf } from "./circuit-ratios.js";

/** What circuits measure of a prompt, in the evaluator's sign. */
const MEASURES: Readonly<Record<string, (row: ParquetRow) => number>> = {
  metric_full: (row) => Number(row["metric_full"]),
  metric_empty: (row) => Number(row["metric_empty"]),
  metric_circuit: (row) => Number(row["metric_circuit"]),
  metric_complement: (row) => Number(row["metric_complement"]),
  faithfulness: (row) => promptFaithfulness(promptMetricsOf(row)),
};
const COLUMNS = ["circuit", "prompt", "side", "metric_full", "metric_empty", "metric_circuit", "metric_complement"];
/** Fields of a condition that name no column of circuits.parquet. */
const BOUNDS = ["above", "below"];
const NEAREST = /^nearest\s+(\S+)$/;
/** Most names that a message lists. */
const MAX_NAMED = 8;

/**
 * Reads what a finished run's circuits say of its prompts. A row is kept where every condition holds on every side that is asked for.
 * @throws PatchbayError `bad_input` where the run is not complete or lacks what the filter names; `damaged_artifact`.
 */
export async function filterRows(folder: string, filter: RowFilter, fault: FilterFault): Promise<MeasuredRows> {
  const run = finishedRun(folder, filter, fault);
  const circuits = (await decodeParquet(await readArtifact(folder, CIRCUITS_FILE))).rows;
  const rows = (await decodePrompts(await readArtifact(folder, PROMPTS_FILE))).filter(({ use }) => use !== "select");
  if (filter.side === "corrupted" && rows.every(({ ids }) => ids.corrupted === null))
    throw fault(["side"], "this run's prompts are plain: they have no corrupted side");
  const [measured, failed] = [new Set<number>(), new Set<number>()];
  for (const [measure, condition] of conditionsOf(filter)) {
    const values = await valuesOf({ folder, circuits, measure }, condition, (field, message) =>
      fault([measure, ...field], message),
    );
    for (const { prompt, side, value } of values) {
      measured.add(prompt);
      if ((filter.side === "both" || side === filter.side) && !holds(value, condition)) failed.add(prompt);
    }
  }
  const keysOf = (of: (prompt: number) => boolean): Set<string> =>
    new Set(rows.flatMap(({ prompt, ids, text }) => (of(prompt) ? rowKey({ file: text.file, line: ids.line }) : [])));
  return {
    planHash: run.plan_hash,
    dataset: run.fingerprints.dataset,
    measured: keysOf((prompt) => measured.has(prompt)),
    kept: keysOf((prompt) => measured.has(prompt) && !failed.has(prompt)),
  };
}

function finishedRun(folder: string, { from }: RowFilter, fault: FilterFault): RunFile {
  if (!existsSync(folder)) throw fault(["from"], `there is no folder ${from}; name that of a finished run`);
  if (!holdsRun(folder))
    throw fault(
      ["from"],
      `${from} is not the folder of a run, which holds run.json: name the one that \`patchbay run\` wrote to`,
    );
  const run = completeRun(folder, (status) =>
    fault(["from"], `expected a complete run, and this one is ${status}: see it to its end first`),
  );
  if (!hasArtifact(folder, CIRCUIT_PROMPTS_FILE))
    throw fault(["from"], "this run evaluated no circuits, so it has no measures of single prompts");
  return run;
}

function holds(value: number, { above = -Infinity, below = Infinity }: RowCondition): boolean {
  return value > above && value < below;
}

/** One measure of a prompt's side. */
interface PromptValue {
  readonly prompt: number;
  readonly side: string;
  readonly value: number;
}

/** Where a measure is read from. */
interface MeasureSource {
  readonly folder: string;
  /** Rows of circuits.parquet. */
  readonly circuits: readonly ParquetRow[];
  readonly measure: string;
}

/** A measure of every prompt's sides, by the circuit that a condition names, or by several that measure the same. */
async function valuesOf(
  { folder, circuits, measure }: MeasureSource,
  condition: RowCondition,
  fault: FilterFault,
): Promise<PromptValue[]> {
  const read = Object.hasOwn(MEASURES, measure) ? MEASURES[measure] : undefined;
  if (read === undefined)
    throw fault([], `circuits have no measure of this name; they have ${Object.keys(MEASURES).join(", ")}`);
  const meant = new Set(circuitsMeant(circuits, condition, fault).map(({ circuit }) => String(circuit)));
  const values = new Map<string, PromptValue>();
  for await (const row of artifactRows(folder, CIRCUIT_PROMPTS_FILE, COLUMNS)) {
    if (!meant.has(String(row["circuit"]))) continue;
    const one = { prompt: Number(row["prompt"]), side: String(row["side"]), value: read(row) };
    const place = `${String(one.prompt)} ${one.side}`;
    if (!Object.is(values.get(place)?.value ?? one.value, one.value)) throw fault([], severalCircuits([...meant]));
    values.set(place, one);
  }
  const found = [...values.values()];
  if (measure === "metric_complement" && found.every(({ value }) => Number.isNaN(value)))
    throw fault([], "this run evaluated no complements");
  return found;
}

function severalCircuits(names: readonly string[]): string {
  return `${String(names.length)} circuits differ in it: say which by \`circuit\`, \`experiment\` or an axis; there are ${someOf(names)}`;
}

/** The circuits that a condition's other fields name; those that name the nearest come last. */
function circuitsMeant(circuits: readonly ParquetRow[], condition: RowCondition, fault: FilterFault): ParquetRow[] {
  return Object.entries(condition)
    .filter(([field]) => !BOUNDS.includes(field))
    .sort(([, a], [, b]) => Number(NEAREST.test(String(a))) - Number(NEAREST.test(String(b))))
    .reduce<ParquetRow[]>(
      (left, [field, wanted]) =>
        narrowed(left, { field, wanted: must(wanted, field) }, (message) => fault([field], message)),
      [...circuits],
    );
}

function narrowed(
  circuits: readonly ParquetRow[],
  { field, wanted }: { readonly field: string; readonly wanted: string | number },
  fault: (message: string) => Error,
): ParquetRow[] {
  if (!Object.hasOwn(must(circuits[0], "circuit"), field))
    throw fault("circuits.parquet of this run has no such column; give `circuit`, `experiment` or an axis");
  const [, near] = NEAREST.exec(String(wanted)) ?? [];
  if (near !== undefined && !Number.isFinite(Number(near))) throw fault("expected a number after `nearest`");
  const numbers = circuits.map((row) => Math.abs(Number(row[field]) - Number(near)));
  const least = Math.min(...numbers.filter((distance) => !Number.isNaN(distance)));
  const found = circuits.filter((row, i) => (near === undefined ? row[field] === wanted : numbers[i] === least));
  if (found.length > 0) return found;
  throw fault(
    `no circuit has this value; there are ${someOf([...new Set(circuits.map((row) => String(row[field])))])}`,
  );
}

function someOf(names: readonly string[]): string {
  const more = names.length - MAX_NAMED;
  return names.slice(0, MAX_NAMED).join(", ") + (more > 0 ? `, and ${String(more)} more` : "");
}
