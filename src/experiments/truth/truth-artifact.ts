/** @file What is in `truth.parquet` (a row per node and prompt) and `validation.parquet` (a row per node). */
import { must } from "../../base/assert.js";
import { INDEX_FIELDS } from "../../nodes/kinds.js";
import { neuronpediaUrl } from "../../hub/published-sae.js";
import { hookOf } from "../../nodes/node.js";
import { globalColumn, indexColumn, positionColumn } from "../../nodes/node-columns.js";
import { siteHook } from "../../nodes/site.js";
import { type TruthDonor, truthDonorOf } from "../../plan/node-list.js";
import type { Plan } from "../../plan/plan.js";
import { artifactMetadata, type Provenance } from "../../artifacts/artifact-metadata.js";
import { type Column, type ColumnType, encodeParquet } from "../../artifacts/parquet.js";
import { evaluatedPrompts } from "../../plan/held-out.js";
import { clusterMean, promptClusters, type Clusters } from "../../stats/clusters.js";
import type { JointPatch } from "./joint.js";
import { effectAt, type TruthTable } from "./truth-table.js";
import type { ListedNode } from "./node-table.js";

/** What rows of sets that were patched at once have as their kind. */
export const SET_KIND = "set";

/** Nodes of one chunk of rows: bounds the memory of writing. */
const NODES_PER_CHUNK = 500;

/** What was put in the place of what: effects of this donor. */
export function directionOf(donor: TruthDonor): string {
  const values = { corrupted: "corrupted prompt", mean: "mean over prompts at each position", zero: "0" }[donor];
  return `base = clean prompt, donor = ${values}`;
}

function direction({ plan }: Provenance): string {
  return directionOf(truthDonorOf(plan.sweep));
}

/** `truth.parquet`: one row per node and prompt that has its position, then one per set that was patched at once and prompt. */
export function encodeTruthRows(table: TruthTable, patches: readonly JointPatch[], provenance: Provenance): Uint8Array {
  return encodeParquet(
    truthChunks(table, patches, truthDonorOf(provenance.plan.sweep)),
    artifactMetadata(provenance, "none: effect = metric_patched - metric_clean", { direction: direction(provenance) }),
  );
}

function* truthChunks(table: TruthTable, patches: readonly JointPatch[], donor: TruthDonor): Generator<Column[]> {
  const { nodes, prompts, present } = table;
  for (let start = 0; start === 0 || start < nodes.length; start += NODES_PER_CHUNK) {
    const cells: { n: number; p: number }[] = [];
    for (let n = start; n < Math.min(nodes.length, start + NODES_PER_CHUNK); n++) {
      for (let p = 0; p < prompts; p++) if (present[p * nodes.length + n] === 1) cells.push({ n, p });
    }
    const float = (name: string, value: (p: number, n: number) => number): Column => ({
      name,
      type: "DOUBLE",
      values: Float64Array.from(cells, ({ p, n }) => value(p, n)),
    });
    yield [
      ...nodeColumns(cells.map(({ n }) => must(nodes[n], "node"))),
      { name: "donor", type: "STRING", values: cells.map(() => donor) },
      { name: "prompt", type: "INT32", values: Int32Array.from(cells, ({ p }) => p) },
      float("metric_clean", (p) => must(table.metricClean[p], "metric")),
      float("metric_corrupted", (p) => must(table.metricCorrupted[p], "metric")),
      float("metric_patched", (p, n) => must(table.metricPatched[p * nodes.length + n], "metric")),
      float("effect", (p, n) => effectAt(table, p, n)),
      { name: "ran", type: "BOOLEAN", values: cells.map(({ p, n }) => table.ran[p * nodes.length + n] === 1) },
      ...[...table.scores].map(([name, values]) => float(name, (p, n) => must(values[p * nodes.length + n], name))),
    ];
  }
  if (patches.length > 0) yield jointColumns(patches, donor, [...table.scores.keys()]);
}

/** Rows of sets: their names stand in the place of hooks, and their nodes are in `sets.parquet`. */
function jointColumns(patches: readonly JointPatch[], donor: TruthDonor, scores: readonly string[]): Column[] {
  const rows = patches.flatMap(({ set, rows: own }) => own.map((row) => ({ ...row, set })));
  const text = (name: string, value: (row: (typeof rows)[number]) => string): Column => ({
    name,
    type: "STRING",
    values: rows.map(value),
  });
  const whole = (name: string, value: (row: (typeof rows)[number]) => number): Column => ({
    name,
    type: "INT32",
    values: Int32Array.from(rows, value),
  });
  const float = (name: string, value: (row: (typeof rows)[number]) => number): Column => ({
    name,
    type: "DOUBLE",
    values: Float64Array.from(rows, value),
  });
  const flag = (name: string, value: boolean): Column => ({ name, type: "BOOLEAN", values: rows.map(() => value) });
  return [
    text("hook", ({ set }) => set),
    text("kind", () => SET_KIND),
    text("site", () => ""),
    whole("layer", () => -1),
    whole("position", () => -1),
    ...INDEX_FIELDS.map((field) => whole(field, () => -1)),
    flag("global", false),
    text("donor", () => donor),
    whole("prompt", ({ prompt }) => prompt),
    float("metric_clean", ({ metricClean }) => metricClean),
    float("metric_corrupted", ({ metricCorrupted }) => metricCorrupted),
    float("metric_patched", ({ metricPatched }) => metricPatched),
    float("effect", ({ metricPatched, metricClean }) => metricPatched - metricClean),
    flag("ran", true),
    ...scores.map((name) => float(name, () => Number.NaN)),
  ];
}

/** `validation.parquet`: one row per node, means over its prompts with standard errors by clusters. */
export function encodeNodeMeans(table: TruthTable, provenance: Provenance): Uint8Array {
  const { nodes } = table;
  const clusters = promptClusters(evaluatedPrompts(provenance.plan));
  const effects = nodes.map((_, n) => overPrompts(table, n, clusters, (p) => effectAt(table, p, n)));
  const shift = (p: number): number => must(table.metricCorrupted[p], "metric") - must(table.metricClean[p], "metric");
  const shifts = nodes.map((_, n) => overPrompts(table, n, clusters, shift));
  const ratios = nodes.map((_, n) => overPrompts(table, n, clusters, (p) => effectAt(table, p, n) / shift(p)));
  const float = (name: string, values: readonly number[]): Column => ({
    name,
    type: "DOUBLE",
    values: Float64Array.from(values),
  });
  const columns: Column[] = [
    ...nodeColumns(nodes),
    { name: "n", type: "INT32", values: Int32Array.from(effects, ({ n }) => n) },
    float(
      "effect",
      effects.map(({ mean }) => mean),
    ),
    float(
      "effect_sem",
      effects.map(({ sem }) => sem),
    ),
    float(
      "normalised",
      effects.map(({ mean }, n) => mean / must(shifts[n], "shift").mean),
    ),
    float(
      "normalised_mean",
      ratios.map(({ mean }) => mean),
    ),
    { name: "stratum", type: "STRING", values: nodes.map(({ stratum }) => stratum) },
    float(
      "inclusion_probability",
      nodes.map(({ inclusionProbability }) => inclusionProbability),
    ),
    { name: "neuronpedia_url", type: "STRING", nullable: true, values: nodes.map(pageIn(provenance.plan.saes)) },
  ];
  for (const [name, values] of table.scores) {
    const scores = nodes.map((_, n) =>
      overPrompts(table, n, clusters, (p) => must(values[p * nodes.length + n], name)),
    );
    columns.push(
      float(
        name,
        scores.map(({ mean }) => mean),
      ),
      float(
        `${name}_sem`,
        scores.map(({ sem }) => sem),
      ),
    );
  }
  const normalisation =
    "effect, scores: none; normalised: mean effect / mean (metric_corrupted - metric_clean); normalised_mean: mean of the per-prompt ratios";
  return encodeParquet([columns], artifactMetadata(provenance, normalisation, { direction: direction(provenance) }));
}

/** The page of a feature, where its SAE is published and has pages. */
function pageIn(saes: Plan["saes"]): (node: ListedNode) => string | null {
  const byHook = new Map(saes.map((sae) => [siteHook(sae), sae.published]));
  return (node) => (node.kind === "feature" ? neuronpediaUrl(byHook.get(siteHook(node)), node.feature) : null);
}

function nodeColumns(nodes: readonly ListedNode[]): Column[] {
  const column = (name: string, type: ColumnType, read: (node: ListedNode) => string | number | boolean): Column =>
    ({
      name,
      type,
      values: type === "INT32" ? Int32Array.from(nodes, (node) => Number(read(node))) : nodes.map(read),
    }) as Column;
  return [
    column("hook", "STRING", hookOf),
    column("kind", "STRING", ({ kind }) => kind),
    column("site", "STRING", ({ site }) => site),
    column("layer", "INT32", ({ layer }) => layer),
    column("position", "INT32", ({ position }) => positionColumn(position)),
    ...INDEX_FIELDS.map((field) => column(field, "INT32", (node) => indexColumn(node, field))),
    column("global", "BOOLEAN", ({ position }) => globalColumn(position)),
  ];
}

/** Mean over the prompts that have node `n`, and its standard error by clusters; NaN where undefined. */
function overPrompts(
  { prompts, nodes, present }: TruthTable,
  n: number,
  clusters: Clusters,
  value: (p: number) => number,
): ReturnType<typeof clusterMean> {
  const here: number[] = [];
  for (let p = 0; p < prompts; p++) if (present[p * nodes.length + n] === 1) here.push(p);
  return clusterMean(
    here.map(value),
    here.map((p) => must(clusters.of[p], "cluster")),
  );
}
