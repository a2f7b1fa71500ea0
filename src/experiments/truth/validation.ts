/**
 * @file Joins the truth with the scores: both tables and the statistics.
 *
 * 1. Records go into a store on disk, each read once.
 * 2. Nodes are read range by range with all of their prompts: rows of `truth.parquet`, means, means in resamples and halves.
 * 3. Prompts are read stretch by stretch with all nodes: how scores agree on single prompts, sums over sets.
 * 4. Families of nodes get their statistics from the means, some draws at a time.
 *
 * Memory: besides what is proportional to the number of prompts or of nodes alone, each thread holds one range or some draws, and never
 * prompts times nodes. docs/performance.md has the bound.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { must } from "../../base/assert.js";
import { mapInThreads } from "../../base/task-threads.js";
import { type MatrixShape, openMatrix, asFloats } from "../../artifacts/disk-matrix.js";
import { type ParquetStream, rowGroupEncoder } from "../../artifacts/parquet.js";
import type { ReductionInputs, ReductionModule } from "../../artifacts/reduction.js";
import type { ScoreMethods } from "../../methods/score-method.js";
import { evaluatedPrompts } from "../../plan/held-out.js";
import { truthDonorOf } from "../../plan/node-list.js";
import { RESAMPLES, resampleClusters } from "../../stats/bootstrap.js";
import { promptClusters } from "../../stats/clusters.js";
import { type NodeLikeness, splitHalves } from "../../stats/reliability.js";
import { emptyReplicates, putReplicates, type Replicates } from "../../stats/validation.js";
import { jointFindings, type JointPatch, jointPatches, sumsOfEffects } from "./joint.js";
import { noiseFloors, type RepeatedEffect, repeatedEffects, takeFirstEffects } from "./noise-floor.js";
import { readNodes } from "./node-table.js";
import { scoreDonors } from "./score-donors.js";
import { encodeMeanColumns, truthStream } from "./truth-artifact.js";
import { storeRecords } from "./truth-records.js";
import { jointRowGroups } from "./truth-row-groups.js";
import { openStore, type StoreShape } from "./truth-store.js";
import { matricesOf } from "./truth-table.js";
import { openTasks, type NodeFindings, type TruthAnswer, type TruthShared, type TruthTask } from "./truth-tasks.js";
import {
  type PreparedFamily,
  preparedFamilies,
  promptCorrelations,
  statisticsOf,
  type ValidatedFamily,
  validatedFamily,
  validationText,
} from "./validation-artifact.js";
import { familiesOf } from "./validation-groups.js";

/** Threads, at most: each holds a range. */
const MOST_THREADS = 4;
/** Fewer cells than this are not worth a thread. */
const CELLS_FOR_THREADS = 2_000_000;
/** Draws of one task. */
const DRAWS_PER_TASK = 50;
/** What a stretch of prompts may take with all nodes. */
const STRETCH_BYTES = 32 * 2 ** 20;

/** How the work is cut. No number of the artifacts depends on it. */
export interface ValidationLimits {
  /** Threads; by default as many as cores, where there is work for them. */
  readonly threads?: number;
  /** See `nodesPerRange`. */
  readonly rangeBytes?: number;
}

/** Writes `truth.parquet`, `validation.parquet` and `validation.json`. */
export function validationReduction(methods: ScoreMethods, limits: ValidationLimits = {}): ReductionModule {
  return {
    reduce: async (_task, inputs) => {
      const { source, provenance, artifacts } = inputs;
      const { plan } = source;
      const nodes = await readNodes(artifacts.read);
      const patches = await jointPatches(plan, nodes, artifacts.read);
      const folder = artifacts.scratch();
      const store = await timed("records", () =>
        storeRecords(source, nodes, { folder, rangeBytes: limits.rangeBytes }),
      );
      const shared = sharedOf(plan, store, folder);
      const threads = limits.threads ?? threadsFor(store);
      const found = await timed("nodes", () => nodePass(inputs, shared, { threads, patches }));
      artifacts.write("validation.parquet", encodeMeanColumns(nodes, found.columns, scoresOf(store), provenance));
      const families = preparedFamilies(plan, nodes, found.estimate);
      const repeated = await repeatedEffects(source, nodes);
      const byPrompt = await timed("prompts", () => promptPass(store, { families, patches, repeated }));
      const clusters = shared.draws.clusters.count;
      const validated: ValidatedFamily[] = [];
      await timed("statistics", () =>
        eachReplicates(families, shared, threads, (family, replicates, f) => {
          const correlations = must(byPrompt.correlations[f], "correlations");
          validated.push(validatedFamily(family, found.estimate, replicates, { clusters, correlations }));
        }),
      );
      const reliability = noiseFloors(families, {
        prompts: store.prompts,
        clusters,
        splits: shared.draws.halves.splits,
        means: must(found.estimate[0], "effects"),
        inHalves: rowsIn(shared.inHalves),
        likeness: found.likeness,
        repeated,
      });
      const joint = jointFindings(plan, patches, byPrompt.sums);
      const donors = scoreDonors(methods, plan.sweep);
      const statistics = statisticsOf(plan, scoresOf(store), validated);
      artifacts.write("validation.json", Buffer.from(validationText({ plan, provenance, donors, joint, reliability }, statistics))); // prettier-ignore
      return [];
    },
  };
}

/** Says what a part took to whoever observes measures. */
async function timed<T>(part: string, run: () => Promise<T> | T): Promise<T> {
  const start = performance.now();
  const result = await run();
  performance.measure(part, { start });
  return result;
}

function threadsFor({ prompts, nodes, scores }: StoreShape): number {
  const cells = prompts * nodes.length * (1 + scores.length);
  return cells < CELLS_FOR_THREADS ? 1 : Math.min(MOST_THREADS, availableParallelism());
}

const scoresOf = ({ scores }: StoreShape): string[] => scores.map(([name]) => name);

function sharedOf(plan: ReductionInputs["source"]["plan"], store: StoreShape, folder: string): TruthShared {
  const { seed } = plan.sweep;
  const clusters = promptClusters(evaluatedPrompts(plan));
  const { count, times } = resampleClusters(clusters, RESAMPLES, seed);
  const halves = splitHalves(clusters, seed);
  const matrix = (name: string, rows: number): MatrixShape => {
    const shape = { ...store.patched, path: join(folder, name), rows };
    openMatrix(shape, true).close();
    return shape;
  };
  return {
    store,
    donor: truthDonorOf(plan.sweep),
    draws: { clusters, count, times, halves },
    families: familiesOf(store.nodes).map(({ members }) => members),
    resampled: ["effect", ...scoresOf(store)].map((_, i) => matrix(`resampled-${String(i)}`, count)),
    inHalves: matrix("halves", 2 * halves.splits),
  };
}

/** What all nodes say, each by itself. */
type AllNodes = Omit<NodeFindings, "columns"> & { readonly columns: Map<string, Float64Array> };

/** Writes `truth.parquet`, and gathers what ranges of nodes say. */
async function nodePass(
  { provenance, artifacts }: ReductionInputs,
  shared: TruthShared,
  { threads, patches }: { readonly threads: number; readonly patches: readonly JointPatch[] },
): Promise<AllNodes> {
  const { store, donor } = shared;
  const { columns: count, width } = store.patched;
  const found = {
    estimate: [store.patched, ...store.scores].map(() => new Float64Array(count)),
    columns: new Map<string, Float64Array>(),
    likeness: shared.families.map((): NodeLikeness[] => []),
  };
  const file = artifacts.open("truth.parquet");
  try {
    const stream: ParquetStream = truthStream(scoresOf(store), provenance, (bytes) => {
      file.append(bytes);
    });
    const tasks = Array.from({ length: Math.ceil(count / width) }, (_, range): TruthTask => ({ kind: "range", range }));
    await mapInThreads(runner(threads), shared, tasks, (answer, range) => {
      if (answer.kind !== "range") return;
      for (const group of answer.groups) stream.append(group);
      const first = range * width;
      answer.nodes.estimate.forEach((means, i) => found.estimate[i]?.set(means, first));
      for (const [name, values] of answer.nodes.columns) columnIn(found.columns, name, count).set(values, first);
      answer.nodes.likeness.forEach((own, f) => found.likeness[f]?.push(...own));
    });
    const encode = rowGroupEncoder();
    for (const group of jointRowGroups(patches, donor, scoresOf(store))) stream.append(encode(group));
    stream.finish();
    file.commit();
  } catch (thrown) {
    file.discard();
    throw thrown;
  }
  return found;
}

function columnIn(columns: Map<string, Float64Array>, name: string, count: number): Float64Array {
  const known = columns.get(name) ?? new Float64Array(count);
  columns.set(name, known);
  return known;
}

const runner = (threads: number) => ({ entry: "truth-tasks", openTasks, threads }) as const;

/** What single prompts say: for each family and score how they agree, and for each set the sums of its nodes' effects, `[P]` each. */
function promptPass(
  shape: StoreShape,
  {
    families,
    patches,
    repeated,
  }: {
    readonly families: readonly PreparedFamily[];
    readonly patches: readonly JointPatch[];
    readonly repeated: readonly RepeatedEffect[];
  },
): { readonly correlations: Float64Array[][]; readonly sums: Float64Array[] } {
  const { prompts, nodes, scores } = shape;
  const correlations = families.map(() => scores.map(() => new Float64Array(prompts)));
  const sums = patches.map(() => new Float64Array(prompts));
  const store = openStore(shape);
  const step = Math.max(1, Math.floor(STRETCH_BYTES / Math.max(1, nodes.length * (8 * (1 + scores.length) + 1))));
  for (let first = 0; first < prompts; first += step) {
    const { table, prompts: of } = store.rows(first, Math.min(step, prompts - first));
    const put = (to: Float64Array, values: Float64Array): void => {
      of.forEach((prompt, row) => (to[prompt] = values[row] as number));
    };
    const matrices = matricesOf(table);
    families.forEach((family, f) => {
      promptCorrelations(matrices, family).forEach((values, s) => {
        put(must(correlations[f]?.[s], "correlations"), values);
      });
    });
    sumsOfEffects(table, patches).forEach((values, i) => {
      put(must(sums[i], "sums"), values);
    });
    takeFirstEffects(repeated, table, new Map([...of].map((prompt, row) => [prompt, row])));
  }
  store.close();
  return { correlations, sums };
}

/** Gives the replicates of each family's statistics in order; those of one family are held at a time. */
async function eachReplicates(
  families: readonly PreparedFamily[],
  shared: TruthShared,
  threads: number,
  take: (family: PreparedFamily, replicates: Replicates, f: number) => void,
): Promise<void> {
  const { count } = shared.draws;
  const parts = families.flatMap((family, f) =>
    Array.from({ length: Math.max(1, Math.ceil(count / DRAWS_PER_TASK)) }, (_, i) => {
      const from = i * DRAWS_PER_TASK;
      return { family, f, from, to: Math.min(count, from + DRAWS_PER_TASK) };
    }),
  );
  const tasks = parts.map(({ family: { members, grouped }, from, to }): TruthTask => {
    return { kind: "draws", members, family: grouped, draws: [from, to] };
  });
  let open: Replicates | undefined;
  await mapInThreads<TruthShared, TruthTask, TruthAnswer>(runner(threads), shared, tasks, (answer, i) => {
    const { family, f, from, to } = must(parts[i], "part");
    if (answer.kind !== "draws") return;
    open ??= emptyReplicates(family.grouped, shared.store.scores.length, count);
    putReplicates(open, from, answer.replicates);
    if (to < count) return;
    take(family, open, f);
    open = undefined;
  });
}

/** Reads rows of a matrix. */
function rowsIn(shape: MatrixShape): (first: number, count: number) => Float64Array {
  return (first, count) => {
    const matrix = openMatrix(shape);
    try {
      return asFloats(matrix.readRows(first, count));
    } finally {
      matrix.close();
    }
  };
}
