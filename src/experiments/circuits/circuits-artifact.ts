/** @file `circuits.parquet` (a row per circuit) and `circuits-prompts.parquet` (a row per circuit, prompt and side). */
import { must } from "../../base/assert.js";
import { isPaired } from "../../nodes/prompt.js";
import { CIRCUIT_PROMPTS_FILE, CIRCUITS_FILE } from "./circuit-files.js";
import { contrastsOf, CONTRASTS_FILE } from "./contrasts.js";
import { encodeContrasts } from "./contrasts-file.js";
import { CUSTOM, type DescribedCircuit, describedCircuits, describedPoints } from "./described-circuits.js";
import { circuitScoresName, evaluationsOf } from "./evaluations.js";
import type { Plan, StageTask } from "../../plan/plan.js";
import { RESAMPLES, resampleClusters, type Resamples } from "../../stats/bootstrap.js";
import { promptClusters } from "../../stats/clusters.js";
import { artifactMetadata } from "../../artifacts/artifact-metadata.js";
import { type CircuitMetrics, circuitRatios, NOT_PICKED, simultaneousRatios } from "./circuit-ratios.js";
import { type Column, encodeParquet } from "../../artifacts/parquet.js";
import { forEachRecord, type RecordSource } from "../../artifacts/stage-records.js";
import { decodeCircuits } from "./payload.js";
import { readScoreMeans } from "../../artifacts/scores-file.js";
import type { ReductionInputs } from "../../artifacts/reduction.js";
import { axisColumns } from "./point-rows.js";
import { experimentsOf } from "./spec.js";
import { readSets } from "./sets-file.js";
import { sumsBeside } from "./sums-beside.js";

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
  const sets = await readSets(artifacts.read, plan);
  const sums = await sumsBeside({ source, read: artifacts.read }, sets);
  const described = [
    ...describedCircuits(plan, evaluations, scores),
    ...describedPoints(plan, evaluations, { sets, sums }),
  ];
  const rows = withSimultaneous(
    described.map((one) => evaluatedCircuit(one, metrics, resamples)),
    resamples,
  );
  const metadata = artifactMetadata(
    provenance,
    "faithfulness = (metric_circuit - metric_empty) / (metric_full - metric_empty); completeness: the same of the complement; faithfulness_mean: mean of the per-row ratios; no ratio where the interval of metric_full - metric_empty holds 0",
    {
      sign: "metrics are -m on clean rows and +m on corrupted rows: positive is good on both; m = reduce(logit[incorrect]) - logit[correct]",
      direction: "ablated nodes take the donor's value: mean, zero, or the resampled prompt's activation",
    },
  );
  artifacts.write(CIRCUITS_FILE, encodeParquet([circuitColumns(rows)], metadata));
  artifacts.write(CIRCUIT_PROMPTS_FILE, encodeParquet(promptChunks(rows, metrics), metadata));
  const contrasts = contrastsOf(plan.sweep);
  if (contrasts.length > 0) {
    const byName = new Map(rows.map(({ labels, perRow }) => [labels.circuit, perRow]));
    const metricsOf = (circuit: string): CircuitMetrics => must(byName.get(circuit), circuit);
    artifacts.write(CONTRASTS_FILE, encodeContrasts(contrasts, metricsOf, resamples, provenance));
  }
  return [...idleConfigurations(plan.sweep), ...refusals(rows)];
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
  const known = new Map<number, Float64Array>();
  const read = (evaluation: number): Float64Array =>
    Float64Array.from({ length: sides * prompts.length }, (_, row) => {
      const side = Math.floor(row / prompts.length);
      return must(all[(evaluation * sides + side) * total + must(prompts[row % prompts.length], "prompt")], "metric");
    });
  // Circuits share the full model and the empty circuit: one array of each serves all.
  const of = (evaluation: number): Float64Array => {
    const found = known.get(evaluation) ?? read(evaluation);
    known.set(evaluation, found);
    return found;
  };
  return { prompts, sides, of };
}

/** One circuit with everything both tables say of it. */
interface EvaluatedCircuit extends Pick<DescribedCircuit, "labels" | "axes" | "exempt" | "counts"> {
  readonly numbers: Record<string, number>;
  readonly undefinedBecause: string;
  readonly perRow: CircuitMetrics;
}

function evaluatedCircuit(
  { labels, axes, exempt, counts, threshold, beside, ...at }: DescribedCircuit,
  metrics: Metrics,
  resamples: Resamples,
): EvaluatedCircuit {
  const [full, empty, circuit] = [metrics.of(0), metrics.of(at.empty), metrics.of(at.circuit)];
  const complement = at.complement === null ? null : metrics.of(at.complement);
  const perRow = { circuit, complement, full, empty };
  const ratios = circuitRatios(perRow, resamples);
  return {
    labels,
    axes,
    exempt,
    counts,
    numbers: {
      threshold,
      metric_circuit: mean(circuit),
      metric_full: mean(full),
      metric_empty: mean(empty),
      metric_complement: complement === null ? Number.NaN : mean(complement),
      ...ratios.numbers,
      beside,
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
    strings("experiment"),
    ...axisColumns(rows, rows),
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

/** A sentence on configurations that name nodes by hooks and ablate none. */
function idleConfigurations(sweep: Plan["sweep"]): string[] {
  const idle = experimentsOf(sweep).filter(
    ({ threshold, ablate: { nodes, features } }) =>
      threshold === null && nodes.length === 0 && Object.values(features).every((list) => list.length === 0),
  );
  if (idle.length === 0) return [];
  const names = idle.map(({ name }) => name).join(", ");
  return [
    `experiments: ${names} ${idle.length === 1 ? "ablates nothing: it is" : "ablate nothing: they are"} the unablated run`,
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

/** Rows of one chunk, at most but for one circuit's: small groups of rows take more bytes than what they hold. */
const CHUNK_ROWS = 50_000;

function* promptChunks(rows: readonly EvaluatedCircuit[], { prompts, sides }: Metrics): Generator<Column[]> {
  const side = ["clean", "corrupted"];
  const count = sides * prompts.length;
  const perChunk = Math.max(1, Math.floor(CHUNK_ROWS / count));
  for (let start = 0; start < rows.length; start += perChunk) {
    const group = rows.slice(start, start + perChunk);
    const cells = group.flatMap((one) => Array.from({ length: count }, (_, row) => ({ one, row })));
    const text = (name: string, read: (cell: (typeof cells)[number]) => string): Column => ({
      name,
      type: "STRING",
      values: cells.map(read),
    });
    const metric = (name: string, read: (metrics: CircuitMetrics) => Float64Array | null): Column => {
      const values = new Float64Array(cells.length).fill(Number.NaN);
      group.forEach(({ perRow }, i) => {
        const own = read(perRow);
        if (own !== null) values.set(own, i * count);
      });
      return { name, type: "DOUBLE", values };
    };
    yield [
      text("circuit", ({ one }) => one.labels.circuit),
      text("experiment", ({ one }) => one.labels.experiment),
      ...axisColumns(
        rows,
        cells.map(({ one }) => one),
      ),
      {
        name: "prompt",
        type: "INT32",
        values: Int32Array.from(cells, ({ row }) => must(prompts[row % prompts.length], "prompt")),
      },
      text("side", ({ row }) => must(side[Math.floor(row / prompts.length)], "side")),
      metric("metric_circuit", ({ circuit }) => circuit),
      metric("metric_complement", ({ complement }) => complement),
      metric("metric_full", ({ full }) => full),
      metric("metric_empty", ({ empty }) => empty),
    ];
  }
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
