/** @file The tables of a run, from its folder. */
import { badInput } from "../base/errors.js";
import { NODE_KINDS } from "../nodes/kinds.js";
import { hasArtifact, readArtifact } from "../run/artifacts.js";
import { evaluatedPrompts } from "../plan/held-out.js";
import type { Plan } from "../plan/plan.js";
import { readPlanOnce } from "../run/plan-cache.js";
import { CONTRASTS_FILE } from "../experiments/circuits/contrasts.js";
import { CIRCUITS_FILE } from "../experiments/circuits/circuit-files.js";
import { expectRunFolder, readRunFile, runPaths, type RunFile } from "../run/run-folder.js";
import { decodeParquet } from "../artifacts/parquet.js";
import type { ParquetRow } from "../artifacts/parquet.js";
import { toCircuitRow } from "../experiments/circuits/report/circuit-row.js";
import { statusPhrase } from "../report/labels.js";
import { parseValidation } from "../experiments/truth/report/validation-file.js";
import { firstPatched } from "../experiments/truth/validation-groups.js";
import { spansOf } from "../plan/span-positions.js";
import { agreementTables } from "./agreement-tables.js";
import { circuitSection } from "./circuit-table.js";
import { contrastSection } from "./contrast-table.js";
import { jointSection } from "./joint-table.js";
import { kindTitle } from "./kind-title.js";
import { experimentSection } from "./experiment-table.js";
import type { Section } from "./table.js";
import { promptClusters } from "../stats/clusters.js";
import { bootstrapMeans, truthMatrices } from "./truth-matrices.js";

const TRUTH = "truth.parquet";
const STATISTICS = "validation.json";

/** A run and its tables. */
export interface RunTables {
  readonly name: string;
  readonly folder: string;
  readonly sections: readonly Section[];
}

/**
 * Reads a run folder and makes its tables: the agreement of scores and true effects for each kind of node, the circuits, and the experiments.
 * @throws PatchbayError `bad_input` where the folder holds no run, or a run that has neither; `damaged_artifact`.
 */
export async function tablesOfRun(folder: string): Promise<RunTables> {
  expectRunFolder(folder);
  const run = readRunFile(folder);
  const plan = readPlanOnce(folder, run.plan_hash);
  const circuits = hasArtifact(folder, CIRCUITS_FILE) ? (await rowsOf(folder, CIRCUITS_FILE)).map(toCircuitRow) : [];
  const evaluated = [
    await jointPatches(folder, plan),
    circuitSection(circuits),
    experimentSection(circuits, plan.sweep),
    hasArtifact(folder, CONTRASTS_FILE) ? contrastSection(await rowsOf(folder, CONTRASTS_FILE)) : null,
  ];
  const sections = [...(await agreementSections(folder, plan)), ...evaluated.filter((section) => section !== null)];
  if (sections.length === 0) throw nothingToShow(run, folder);
  return { name: run.name, folder, sections };
}

/** A section for each kind of node whose true effects were measured. */
async function agreementSections(folder: string, plan: Plan): Promise<Section[]> {
  if (!hasArtifact(folder, TRUTH)) return [];
  const rows = await rowsOf(folder, TRUTH);
  const { groups } = parseValidation(await readArtifact(folder, STATISTICS), runPaths(folder).artifact(STATISTICS));
  const together = groups.filter(({ position, layer, global }) => position === null && layer === null && !global);
  const prompts = evaluatedPrompts(plan);
  const scores = plan.sweep.scores.map(({ name }) => name);
  const clusters = promptClusters(prompts);
  const measured = new Set(rows.map(({ kind }) => kind));
  const kinds = [...measured].flatMap((kind) => NODE_KINDS.find((known) => known === kind) ?? []);
  return kinds.map((kind) => {
    const matrices = truthMatrices(rows.filter((row) => row["kind"] === kind), prompts.length, scores); // prettier-ignore
    const truth = { ...matrices, firstPatched: firstPatched(plan.sweep, prompts), spans: spansOf(plan.sweep) };
    const ofKind = together.filter((group) => group.kind === kind);
    return {
      title: kindTitle(kind, plan),
      tables: agreementTables(kind, truth, bootstrapMeans(truth, clusters), ofKind),
    };
  });
}

async function jointPatches(folder: string, plan: Plan): Promise<Section | null> {
  if (!hasArtifact(folder, STATISTICS)) return null;
  const { joint } = parseValidation(await readArtifact(folder, STATISTICS), runPaths(folder).artifact(STATISTICS));
  return jointSection(
    joint,
    plan.sweep.scores.map(({ name }) => name),
  );
}

async function rowsOf(folder: string, artifact: string): Promise<ParquetRow[]> {
  const { rows } = await decodeParquet(await readArtifact(folder, artifact));
  return rows;
}

function nothingToShow({ status }: RunFile, folder: string) {
  const remedy =
    status === "complete"
      ? "its sweep has none of `truth`, `circuits` and `experiments`; add one, and run it with a new --out"
      : `the run ${statusPhrase(status)}; see it to its end with patchbay run or patchbay watch`;
  return badInput(`expected true effects or circuits, found none: ${remedy}`, { file: folder });
}
