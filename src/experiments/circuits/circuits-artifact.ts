/** @file `circuits.parquet` (a row per circuit) and `circuits-prompts.parquet` (a row per circuit, prompt and side). */
import { must } from "../../base/assert.js";
import { ABLATED, type Intervention, LIVE } from "../../nodes/intervention.js";
import type { NodeCounts } from "../../nodes/kinds.js";
import { addCounts, countNodes, uniformSite, zeroCounts } from "../../nodes/node-states.js";
import { isPaired } from "../../nodes/prompt.js";
import type { NodeScores } from "../../nodes/selection.js";
import { siteHook } from "../../nodes/site.js";
import { chooseCircuit, chooseCustom, circuitSites } from "./evaluation-interventions.js";
import { circuitScoresName, emptyIndex, type Evaluation, evaluationsOf } from "./evaluations.js";
import type { Plan, StageTask } from "../../plan/plan.js";
import { RESAMPLES, resampleClusters, type Resamples } from "../../stats/bootstrap.js";
import { promptClusters } from "../../stats/clusters.js";
import { artifactMetadata } from "../../artifacts/artifact-metadata.js";
import { type CircuitMetrics, circuitRatios, NOT_PICKED, simultaneousRatios } from "./circuit-ratios.js";
import { type Column, encodeParquet } from "../../artifacts/parquet.js";
import { longestLength } from "../../artifacts/position-counts.js";
import { forEachRecord, type RecordSource } from "../../artifacts/stage-records.js";
import { decodeCircuits } from "./payload.js";
import { readScoreMeans } from "../../artifacts/scores-file.js";
import type { ReductionInputs } from "../../artifacts/reduction.js";
import { circuitsSpecOf } from "./spec.js";

/** The variant of custom configurations. */
const CUSTOM = "custom";

/** Metrics in the evaluator's sign, `[E, sides, P]`, for the prompts that every evaluation has. */
interface Metrics {
  /** Indexes into the plan's prompts. */
  readonly prompts: readonly number[];
  readonly sides: number;
  readonly of: (evaluation: number) => Float64Array;
}

/**
 * Reads the `circuits` stage and writes both tables.
 * @returns warnings: circuits whose ratios are undefined.
 */
export async function reduce(
  _task: StageTask,
  { source, provenance, artifacts }: ReductionInputs,
): Promise<readonly string[]> {
  const { plan } = source;
  const evaluations = evaluationsOf(plan.sweep);
  const metrics = await readMetrics(source, evaluations.length);
  const name = circuitScoresName(plan.sweep);
  const scores = name === undefined ? null : await readScoreMeans(artifacts.read, name);
  const clusters = promptClusters(metrics.prompts.map((p) => must(plan.prompts[p], "prompt")));
  const resamples = resampleClusters(clusters, RESAMPLES, plan.sweep.seed);
  const found = evaluations.flatMap((evaluation, e) => {
    if (evaluation.kind !== "circuit" && evaluation.kind !== "custom") return [];
    return [circuitRow(plan, evaluations, e, evaluation, scores, metrics, resamples)];
  });
  const rows = withSimultaneous(found, resamples);
  const metadata = artifactMetadata(
    provenance,
    "faithfulness = (metric_circuit - metric_empty) / (metric_full - metric_empty); completeness: the same of the complement; faithfulness_mean: mean of the per-row ratios; no ratio where the interval of metric_full - metric_empty holds 0",
    {
      sign: "metrics are -m on clean rows and +m on corrupted rows: positive is good on both; m = reduce(logit[incorrect]) - logit[correct]",
      direction: "ablated nodes take the donor's value: mean, zero, or the resampled prompt's activation",
    },
  );
  artifacts.write("circuits.parquet", encodeParquet([circuitColumns(rows)], metadata));
  artifacts.write("circuits-prompts.parquet", encodeParquet(promptChunks(rows, metrics), metadata));
  return refusals(rows);
}

async function readMetrics(source: RecordSource, evaluationCount: number): Promise<Metrics> {
  const { plan } = source;
  const sides = isPaired(plan.prompts) ? 2 : 1;
  const total = plan.prompts.length;
  const all = new Float64Array(evaluationCount * sides * total);
  const seen = new Uint32Array(total);
  await forEachRecord(source, "circuits", (shard, payload) => {
    const { metric } = decodeCircuits(payload);
    const [start, end] = must(shard.slots, "slots");
    shard.prompts.forEach((prompt, p) => {
      seen[prompt] = must(seen[prompt], "count") + end - start;
      for (let e = start; e < end; e++) {
        for (let side = 0; side < sides; side++) {
          const m = must(metric[((e - start) * sides + side) * shard.prompts.length + p], "metric");
          all[(e * sides + side) * total + prompt] = side === 0 ? -m : m;
        }
      }
    });
  });
  const prompts = plan.prompts.flatMap((_, p) => (seen[p] === evaluationCount ? [p] : []));
  const of = (evaluation: number): Float64Array =>
    Float64Array.from({ length: sides * prompts.length }, (_, row) => {
      const side = Math.floor(row / prompts.length);
      return must(all[(evaluation * sides + side) * total + must(prompts[row % prompts.length], "prompt")], "metric");
    });
  return { prompts, sides, of };
}

/** Columns of the numbers of nodes. */
const COUNT_COLUMNS: Readonly<Record<keyof NodeCounts, string>> = {
  nFeatures: "n_features",
  nErrorsResid: "n_errors_resid",
  nErrorsOther: "n_errors_other",
  nSites: "n_sites",
  nHeads: "n_heads",
  nNeurons: "n_neurons",
};

/** One circuit with everything both tables say of it. */
interface EvaluatedCircuit {
  readonly labels: {
    readonly circuit: string;
    readonly variant: string;
    readonly ablation: string;
    readonly keep: string;
  };
  readonly exempt: boolean;
  readonly counts: Record<string, number>;
  readonly numbers: Record<string, number>;
  readonly undefinedBecause: string;
  readonly perRow: CircuitMetrics;
}

function circuitRow(
  plan: Plan,
  evaluations: readonly Evaluation[],
  index: number,
  evaluation: Extract<Evaluation, { kind: "circuit" | "complement" | "custom" }>,
  scores: NodeScores | null,
  metrics: Metrics,
  resamples: Resamples,
): EvaluatedCircuit {
  const isCustom = evaluation.kind === "custom";
  const spec = circuitsSpecOf(plan.sweep);
  const exempt = !isCustom && spec?.exempt_early_layers === true;
  const full = metrics.of(0);
  const empty = metrics.of(emptyIndex(evaluations, evaluation.ablation, exempt));
  const circuit = metrics.of(index);
  const complement = evaluations[index + 1]?.kind === "complement" ? metrics.of(index + 1) : null;
  const perRow = { circuit, complement, full, empty };
  const ratios = circuitRatios(perRow, resamples);
  const { threshold } = isCustom ? evaluation.experiment : evaluation.circuit;
  const keep = isCustom ? evaluation.experiment.threshold?.keep : spec?.keep;
  return {
    labels: {
      circuit: isCustom ? evaluation.experiment.name : evaluation.circuit.name,
      variant: isCustom ? CUSTOM : evaluation.circuit.variant,
      ablation: evaluation.ablation,
      keep: keep ?? "none",
    },
    exempt,
    counts: countsOf(plan, evaluation, scores),
    numbers: {
      threshold: typeof threshold === "number" ? threshold : (threshold?.value ?? Number.NaN),
      metric_circuit: mean(circuit),
      metric_full: mean(full),
      metric_empty: mean(empty),
      metric_complement: complement === null ? Number.NaN : mean(complement),
      ...ratios.numbers,
    },
    undefinedBecause: ratios.undefinedBecause,
    perRow,
  };
}

/** The rows with what holds of all threshold circuits at once, and the clusters that all intervals count. */
function withSimultaneous(rows: readonly EvaluatedCircuit[], resamples: Resamples): EvaluatedCircuit[] {
  const family = rows.filter(({ labels }) => labels.variant !== CUSTOM);
  const bounds = simultaneousRatios(
    family.map(({ perRow }) => perRow),
    resamples,
  );
  return rows.map((row) => ({
    ...row,
    counts: { ...row.counts, clusters: resamples.clusters.count },
    numbers: { ...row.numbers, ...(bounds[family.indexOf(row)] ?? NOT_PICKED) },
  }));
}

function countsOf(
  plan: Plan,
  evaluation: Extract<Evaluation, { kind: "circuit" | "complement" | "custom" }>,
  scores: NodeScores | null,
): Record<string, number> {
  const longest = longestLength(plan);
  if (evaluation.kind === "custom") {
    const { intervention, ...counts } = chooseCustom(plan, evaluation.experiment, scores, longest);
    const live = countLive(plan, intervention, longest);
    return {
      ...spread("", live),
      ...spread("not_ablated_", live),
      nodes_ablated: counts.nodesAblated,
      nodes_restored: counts.nodesRestored,
      nodes_named_by_both: counts.nodesNamedByBoth,
    };
  }
  const { circuit, counts, notAblated } = chooseCircuit(plan, evaluation.circuit, must(scores, "scores"), longest);
  return {
    ...spread("", counts),
    ...spread("not_ablated_", notAblated),
    nodes_ablated: countNodes(circuit, ABLATED),
    nodes_restored: 0,
    nodes_named_by_both: 0,
  };
}

function spread(prefix: string, counts: NodeCounts): Record<string, number> {
  return Object.fromEntries(
    Object.entries(COUNT_COLUMNS).map(([count, name]) => [prefix + name, counts[count as keyof NodeCounts]]),
  );
}

/** Nodes that an intervention does not ablate. */
function countLive(plan: Plan, intervention: Intervention, positions: number): NodeCounts {
  const counts = zeroCounts();
  for (const at of circuitSites(plan)) {
    const states = intervention.get(siteHook(at)) ?? uniformSite(at, positions, LIVE);
    addCounts(counts, at, states, (nodes) => nodes.filter((state) => state !== ABLATED).length);
  }
  return counts;
}

function circuitColumns(rows: readonly EvaluatedCircuit[]): Column[] {
  const strings = (key: keyof EvaluatedCircuit["labels"]): Column => ({
    name: key,
    type: "STRING",
    values: rows.map(({ labels }) => labels[key]),
  });
  const doubles = (name: string): Column => ({
    name,
    type: "DOUBLE",
    values: Float64Array.from(rows, ({ numbers }) => must(numbers[name], name)),
  });
  const first = must(rows[0], "a circuit");
  return [
    strings("circuit"),
    strings("variant"),
    doubles("threshold"),
    strings("ablation"),
    strings("keep"),
    { name: "exempt_early_layers", type: "BOOLEAN", values: rows.map(({ exempt }) => exempt) },
    ...Object.keys(first.counts).map((name): Column => ({
      name,
      type: "INT32",
      values: Int32Array.from(rows, ({ counts }) => must(counts[name], name)),
    })),
    ...Object.keys(first.numbers)
      .filter((name) => name !== "threshold")
      .map(doubles),
    { name: "undefined_because", type: "STRING", values: rows.map(({ undefinedBecause }) => undefinedBecause) },
  ];
}

/** A sentence for each ablation under which circuits have no ratios. */
function refusals(rows: readonly EvaluatedCircuit[]): string[] {
  const sentences = new Map<string, string[]>();
  for (const { labels, undefinedBecause } of rows) {
    if (undefinedBecause === "") continue;
    const key = `with ${labels.ablation} ablation: ${undefinedBecause}, so there is nothing that a circuit could recover`;
    sentences.set(key, [...(sentences.get(key) ?? []), labels.circuit]);
  }
  return [...sentences].map(
    ([why, circuits]) =>
      `faithfulness and completeness are undefined for ${circuits.length === 1 ? "the circuit" : `${String(circuits.length)} circuits`} ${why}`,
  );
}

function* promptChunks(rows: readonly EvaluatedCircuit[], { prompts, sides }: Metrics): Generator<Column[]> {
  const side = ["clean", "corrupted"];
  const count = sides * prompts.length;
  const indexes = Array.from({ length: count }, (_, row) => row);
  for (const { labels, perRow } of rows) {
    yield [
      { name: "circuit", type: "STRING", values: indexes.map(() => labels.circuit) },
      {
        name: "prompt",
        type: "INT32",
        values: Int32Array.from(indexes, (row) => must(prompts[row % prompts.length], "prompt")),
      },
      {
        name: "side",
        type: "STRING",
        values: indexes.map((row) => must(side[Math.floor(row / prompts.length)], "side")),
      },
      { name: "metric_circuit", type: "DOUBLE", values: perRow.circuit },
      {
        name: "metric_complement",
        type: "DOUBLE",
        values: perRow.complement ?? new Float64Array(count).fill(Number.NaN),
      },
      { name: "metric_full", type: "DOUBLE", values: perRow.full },
      { name: "metric_empty", type: "DOUBLE", values: perRow.empty },
    ];
  }
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
