/** @file What is in `truth.parquet` (a row per node and prompt) and `validation.parquet` (a row per node). */
import { must } from "../../base/assert.js";
import { neuronpediaUrl } from "../../hub/published-sae.js";
import { siteHook } from "../../nodes/site.js";
import { type TruthDonor, truthDonorOf } from "../../plan/node-list.js";
import type { Plan } from "../../plan/plan.js";
import { artifactMetadata, type Provenance } from "../../artifacts/artifact-metadata.js";
import {
  type Column,
  encodeParquet,
  parquetStream,
  type ParquetStream,
  rowGroupEncoder,
} from "../../artifacts/parquet.js";
import { evaluatedPrompts } from "../../plan/held-out.js";
import { promptClusters, type Clusters, type PromptMatrix } from "../../stats/clusters.js";
import { meansOverPrompts, standardErrors } from "../../stats/node-means.js";
import type { JointPatch } from "./joint.js";
import type { ListedNode } from "./node-table.js";
import { jointRowGroups, nodeColumns, nodeRowGroups } from "./truth-row-groups.js";
import { effectMatrix, scoreMatrix, type TruthTable } from "./truth-table.js";

/** What was put in the place of what: effects of this donor. */
export function directionOf(donor: TruthDonor): string {
  const values = { corrupted: "corrupted prompt", mean: "mean over prompts at each position", zero: "0" }[donor];
  return `base = clean prompt, donor = ${values}`;
}

function direction({ plan }: Provenance): string {
  return directionOf(truthDonorOf(plan.sweep));
}

/** Begins `truth.parquet`: its row groups come from {@link nodeRowGroups}, then {@link jointRowGroups}. */
export function truthStream(
  scores: readonly string[],
  provenance: Provenance,
  take: (bytes: Uint8Array) => void,
): ParquetStream {
  const none = new Float64Array(0);
  const empty = {
    ...{ nodes: [], prompts: 0, metricClean: none, metricCorrupted: none, metricPatched: none },
    ...{ present: new Uint8Array(0), ran: new Uint8Array(0), scores: new Map(scores.map((name) => [name, none])) },
  };
  const [group] = nodeRowGroups(empty, truthDonorOf(provenance.plan.sweep));
  const columns = must(group, "row group").columns.map(({ make }) => make());
  const normalisation = "none: effect = metric_patched - metric_clean";
  const metadata = artifactMetadata(provenance, normalisation, { direction: direction(provenance) });
  return parquetStream(columns, metadata, take);
}

/** `truth.parquet` of a table in memory. */
export function encodeTruthRows(table: TruthTable, patches: readonly JointPatch[], provenance: Provenance): Uint8Array {
  const pieces: Uint8Array[] = [];
  const scores = [...table.scores.keys()];
  const stream = truthStream(scores, provenance, (bytes) => pieces.push(bytes.slice()));
  const encode = rowGroupEncoder();
  const donor = truthDonorOf(provenance.plan.sweep);
  for (const groups of [nodeRowGroups(table, donor), jointRowGroups(patches, donor, scores)])
    for (const group of groups) if (group.rows > 0) stream.append(encode(group));
  stream.finish();
  return Buffer.concat(pieces);
}

/** What `validation.parquet` says of nodes over their prompts, by column, `[N]` each. */
export type NodeMeanColumns = ReadonlyMap<string, Float64Array>;

/** The means of some nodes with standard errors by clusters. @param effects - of the table. */
export function nodeMeanColumns(table: TruthTable, effects: PromptMatrix, clusters: Clusters): NodeMeanColumns {
  const { n, mean } = meansOverPrompts(effects);
  const shift = table.metricCorrupted.map((corrupted, p) => corrupted - (table.metricClean[p] as number));
  const shifts = meansOverPrompts(effects, (_, p) => shift[p] as number).mean;
  const columns = new Map([
    ["n", Float64Array.from(n)],
    ["effect", mean],
    ["effect_sem", standardErrors(effects, { n, mean }, clusters)],
    ["normalised", mean.map((one, node) => one / (shifts[node] as number))],
    ["normalised_mean", meansOverPrompts(effects, (effect, p) => effect / (shift[p] as number)).mean],
  ]);
  for (const name of table.scores.keys()) {
    const scores = scoreMatrix(table, name);
    const means = meansOverPrompts(scores);
    columns.set(name, means.mean).set(`${name}_sem`, standardErrors(scores, means, clusters));
  }
  return columns;
}

/** `validation.parquet`: one row per node, means over its prompts. @param scores - their names. */
export function encodeMeanColumns(
  nodes: readonly ListedNode[],
  means: NodeMeanColumns,
  scores: readonly string[],
  provenance: Provenance,
): Uint8Array {
  const of = (name: string): Float64Array => (nodes.length === 0 ? new Float64Array(0) : must(means.get(name), name));
  const float = (name: string): Column => ({ name, type: "DOUBLE", values: of(name) });
  const columns: Column[] = [
    ...nodeColumns(nodes),
    { name: "n", type: "INT32", values: Int32Array.from(of("n")) },
    ...["effect", "effect_sem", "normalised", "normalised_mean"].map(float),
    { name: "stratum", type: "STRING", values: nodes.map(({ stratum }) => stratum) },
    {
      name: "inclusion_probability",
      type: "DOUBLE",
      values: Float64Array.from(nodes, ({ inclusionProbability }) => inclusionProbability),
    },
    { name: "neuronpedia_url", type: "STRING", nullable: true, values: nodes.map(pageIn(provenance.plan.saes)) },
    ...scores.flatMap((name) => [float(name), float(`${name}_sem`)]),
  ];
  const normalisation =
    "effect, scores: none; normalised: mean effect / mean (metric_corrupted - metric_clean); normalised_mean: mean of the per-prompt ratios";
  return encodeParquet([columns], artifactMetadata(provenance, normalisation, { direction: direction(provenance) }));
}

/** `validation.parquet` of a table in memory. */
export function encodeNodeMeans(table: TruthTable, provenance: Provenance): Uint8Array {
  const clusters = promptClusters(evaluatedPrompts(provenance.plan));
  return encodeMeanColumns(
    table.nodes,
    nodeMeanColumns(table, effectMatrix(table), clusters),
    [...table.scores.keys()],
    provenance,
  );
}

/** The page of a feature, where its SAE is published and has pages. */
function pageIn(saes: Plan["saes"]): (node: ListedNode) => string | null {
  const byHook = new Map(saes.map((sae) => [siteHook(sae), sae.published]));
  return (node) => (node.kind === "feature" ? neuronpediaUrl(byHook.get(siteHook(node)), node.feature) : null);
}
