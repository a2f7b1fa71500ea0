/** @file `scores-<name>.safetensors`: mean score per node over prompts, with its standard error; and `components.parquet`. */
import { must } from "../../base/assert.js";
import { isSaeKind, KINDS, NODE_KINDS, type NodeKind } from "../../nodes/kinds.js";
import { nodeHookAt } from "../../nodes/node.js";
import { parseSiteHook } from "../../nodes/site.js";
import { promptUse } from "../../plan/held-out.js";
import { sizesAt } from "../../plan/node-places.js";
import { namesKind } from "../../plan/node-slots.js";
import type { Plan, Shard } from "../../plan/plan.js";
import type { NamedArray } from "../../weights/named-array.js";
import { encodeSafetensors } from "../../weights/safetensors.js";
import { artifactMetadata, type Provenance } from "../../artifacts/artifact-metadata.js";
import { type Column, encodeParquet } from "../../artifacts/parquet.js";
import { countPositions, lengthOf, longestLength } from "../../artifacts/position-counts.js";
import { forEachRecord } from "../../artifacts/stage-records.js";
import { type Components, type ScoresResult, decodeScores } from "../../artifacts/scores-payload.js";
import type { ReductionModule, ReductionInputs } from "../../artifacts/reduction.js";
import { scoresFile } from "../../artifacts/scores-file.js";
import { type ScoreMethods, methodOf } from "../../methods/score-method.js";
import type { ScoreSpec } from "../../sweep/sweep.js";
import type { ScoresTask } from "./task.js";

/** Float64 sums over prompts of one array of nodes. */
interface Sums {
  readonly shape: readonly number[];
  readonly sum: Float64Array;
  readonly squares: Float64Array;
}

/** The reduction of these methods' scores. */
export function scoresReduction(methods: ScoreMethods): ReductionModule<ScoresTask> {
  return {
    reduce: async ({ score }, inputs) => {
      await writeScores(methods, score, inputs);
      return [];
    },
  };
}

/** Sums stage `scores-<name>` and writes the scores artifact; for AtP also `components.parquet` beside it. */
async function writeScores(
  methods: ScoreMethods,
  score: ScoreSpec,
  { source, provenance, artifacts }: ReductionInputs,
): Promise<void> {
  const { name } = score;
  const { plan } = source;
  const sums = new Map<string, Sums>();
  const components = new Map<string, ComponentSums>();
  const prompts: number[] = [];
  await forEachRecord(source, `scores-${name}`, (shard, payload) => {
    if (promptUse(plan, must(shard.prompts[0], "first prompt")) === "evaluate") return;
    const scores = decodeScores(payload);
    prompts.push(...shard.prompts);
    addScores(plan, shard, scores, sums);
    const lengths = { longest: longestLength(plan), length: lengthOf(plan, must(shard.prompts[0], "first prompt")) };
    for (const [hook, parts] of scores.components) addComponents(components, hook, parts, lengths);
  });
  const counts = countPositions(plan, prompts);
  const arrays = new Map<string, NamedArray>();
  for (const [hook, { shape, sum, squares }] of sums) {
    const perPosition = sum.length / must(shape[0], "positions");
    const count = (i: number): number => counts[Math.floor(i / perPosition)] as number;
    arrays.set(hook, { shape, values: Float32Array.from(sum, (total, i) => total / count(i)) });
    arrays.set(`${hook}.sem`, {
      shape,
      values: Float32Array.from(sum, (total, i) => standardError(total, squares[i] as number, count(i))),
    });
  }
  const metadata = artifactMetadata(
    provenance,
    "mean over prompts that have the position; .sem = sample standard deviation (ddof 1) / sqrt(n)",
    {
      score: JSON.stringify(score),
      n: String(prompts.length),
      ...(methodOf(methods, score).donor === "zero"
        ? { direction: "base = clean prompt, every activation set to 0" }
        : {}),
      counts: JSON.stringify([...counts]),
    },
  );
  artifacts.write(scoresFile(name), encodeSafetensors(arrays, metadata));
  if (components.size > 0 && name === firstWithComponents(methods, plan))
    artifacts.write("components.parquet", encodeComponents(components, { counts, n: prompts.length }, provenance));
}

/** Source: unbiased variance from sums; a tiny negative rest of rounding counts as 0. NaN for a single prompt. */
function standardError(sum: number, squares: number, n: number): number {
  if (n < 2) return Number.NaN;
  return Math.sqrt(Math.max(0, squares - (sum * sum) / n) / (n - 1) / n);
}

function addScores(plan: Plan, shard: Shard, scores: ScoresResult, sums: Map<string, Sums>): void {
  const longest = longestLength(plan);
  const length = lengthOf(plan, must(shard.prompts[0], "first prompt"));
  for (const kind of NODE_KINDS) {
    if (!isWritten(plan, kind)) continue;
    for (const [site, values] of scores[kind]) {
      const width = KINDS[kind].perPosition(sizesAt(plan, must(parseSiteHook(site), "site hook")));
      const isAlone = KINDS[kind].index === null;
      const { sum, squares } = sumsFor(sums, nodeHookAt(site, kind), isAlone ? [longest] : [longest, width]);
      if (values instanceof Float32Array) {
        const perPrompt = length * width;
        for (let i = 0; i < values.length; i++) add(sum, squares, i % perPrompt, values[i] as number);
      } else {
        const { index, value } = values;
        for (let i = 0; i < index.length; i++) add(sum, squares, index[i] as number, value[i] as number);
      }
    }
  }
}

/**
 * Whether the artifact has the scores of a kind: those of an SAE's parts, those that are computed only when asked for, and others
 * without SAEs or where the truth names them.
 */
function isWritten({ saes, sweep }: Plan, kind: NodeKind): boolean {
  return isSaeKind(kind) || KINDS[kind].onRequest || saes.length === 0 || namesKind(sweep, kind);
}

function sumsFor(sums: Map<string, Sums>, hook: string, shape: readonly number[]): Sums {
  const found = sums.get(hook);
  if (found !== undefined) return found;
  const size = shape.reduce((a, b) => a * b, 1);
  const made = { shape, sum: new Float64Array(size), squares: new Float64Array(size) };
  sums.set(hook, made);
  return made;
}

function add(sum: Float64Array, squares: Float64Array, i: number, value: number): void {
  sum[i] = (sum[i] as number) + value;
  squares[i] = (squares[i] as number) + value * value;
}

const COMPONENTS = { delta_norm: "deltaNorm", grad_norm: "gradNorm", cosine: "cosine", dot: "dot" } as const;
type ComponentSums = Record<keyof typeof COMPONENTS, Float64Array>;

/** @param lengths - positions of the longest prompt, and of the prompts that the parts are of. */
function addComponents(
  components: Map<string, ComponentSums>,
  hook: string,
  parts: Components,
  { longest, length }: { readonly longest: number; readonly length: number },
): void {
  const empty = (): Float64Array => new Float64Array(longest);
  const sums = components.get(hook) ?? { delta_norm: empty(), grad_norm: empty(), cosine: empty(), dot: empty() };
  components.set(hook, sums);
  for (const [name, key] of Object.entries(COMPONENTS)) {
    const values = parts[key];
    const total = sums[name as keyof ComponentSums];
    for (let i = 0; i < values.length; i++) total[i % length] = (total[i % length] as number) + (values[i] as number);
  }
}

function firstWithComponents(methods: ScoreMethods, { sweep }: Plan): string | undefined {
  return sweep.scores.find((score) => methodOf(methods, score).hasComponents)?.name;
}

function encodeComponents(
  components: Map<string, ComponentSums>,
  { counts, n }: { readonly counts: Float64Array; readonly n: number },
  provenance: Provenance,
): Uint8Array {
  const hooks = [...components.keys()];
  const columns: Column[] = [
    { name: "hook", type: "STRING", values: hooks.flatMap((hook) => Array.from(counts, () => hook)) },
    { name: "position", type: "INT32", values: Int32Array.from(hooks.flatMap(() => Array.from(counts, (_, t) => t))) },
  ];
  for (const name of Object.keys(COMPONENTS) as (keyof ComponentSums)[]) {
    const values = hooks.flatMap((hook) =>
      Array.from(must(components.get(hook), hook)[name], (sum, t) => sum / (counts[t] as number)),
    );
    columns.push({ name, type: "DOUBLE", values: Float64Array.from(values) });
  }
  return encodeParquet(
    [columns],
    artifactMetadata(provenance, "computed per prompt, then mean over prompts that have the position", {
      n: String(n),
    }),
  );
}
