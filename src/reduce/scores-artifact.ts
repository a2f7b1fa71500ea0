/** @file `scores-<name>.safetensors`: mean score per node over prompts, with its standard error; and `components.parquet`. */
import { must } from "../base/assert.js";
import type { Components, ScoresResult } from "../attribution/results.js";
import { isSaeKind, KINDS, NODE_KINDS, type NodeKind } from "../nodes/kinds.js";
import type { NodeScores } from "../nodes/selection.js";
import { nodeHookAt, parseNodeHook } from "../nodes/node.js";
import { parseSiteHook } from "../nodes/site.js";
import { scoresKey } from "../nodes/node-states.js";
import { namesKind, sizesAt } from "../plan/node-slots.js";
import type { Plan, Shard } from "../plan/plan.js";
import type { Artifacts, ReadArtifact } from "../plan/artifacts.js";
import { SCORE_METHODS } from "../plan/score-methods.js";
import type { NamedArray } from "../weights/named-array.js";
import { decodeSafetensors, encodeSafetensors } from "../weights/safetensors.js";
import { artifactMetadata, type Provenance } from "./artifact-metadata.js";
import { type Column, encodeParquet } from "./parquet.js";
import { decodeScores } from "./payload.js";
import { countPositions, lengthOf, longestLength } from "./position-counts.js";
import { forEachRecord, type RecordSource, stageOf } from "./stage-records.js";

/** Float64 sums over prompts of one array of nodes. */
interface Sums {
  readonly shape: readonly number[];
  readonly sum: Float64Array;
  readonly squares: Float64Array;
}

/** Sums stage `scores-<name>` and writes the scores artifact; for AtP also `components.parquet` beside it. */
export async function writeScores(
  source: RecordSource,
  provenance: Provenance,
  name: string,
  artifacts: Artifacts,
): Promise<void> {
  const { plan } = source;
  const sums = new Map<string, Sums>();
  const components = new Map<string, ComponentSums>();
  const prompts: number[] = [];
  await forEachRecord(source, `scores-${name}`, (shard, payload) => {
    const scores = decodeScores(payload);
    prompts.push(...shard.prompts);
    addScores(plan, shard, scores, sums);
    for (const [hook, parts] of scores.components) addComponents(plan, shard, hook, parts, components);
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
  const { task } = stageOf(plan, `scores-${name}`);
  const score = task.kind === "scores" ? task.score : undefined;
  const metadata = artifactMetadata(
    provenance,
    "mean over prompts that have the position; .sem = sample standard deviation (ddof 1) / sqrt(n)",
    {
      score: JSON.stringify(score),
      ...(score !== undefined && SCORE_METHODS[score.method].donor === "zero"
        ? { direction: "base = clean prompt, every activation set to 0" }
        : {}),
      counts: JSON.stringify([...counts]),
    },
  );
  artifacts.write(fileOf(name), encodeSafetensors(arrays, metadata));
  if (components.size > 0 && name === firstWithComponents(plan))
    artifacts.write("components.parquet", encodeComponents(components, counts, provenance));
}

const fileOf = (name: string): string => `scores-${name}.safetensors`;

/** {@link NodeScores} as a scores artifact holds them; positions are those of the longest prompt. */
export type ScoreMeans = { readonly [Kind in keyof NodeScores]: ReadonlyMap<string, Float32Array> };

/** Reads the means of the artifact of scores `name`: what circuits and node selection rank by. */
export async function readScoreMeans(read: ReadArtifact, name: string): Promise<ScoreMeans> {
  const { arrays } = decodeSafetensors(await read(fileOf(name)), { file: fileOf(name) });
  const scores = {
    features: new Map<string, Float32Array>(),
    errors: new Map<string, Float32Array>(),
    slices: new Map<string, Float32Array>(),
  };
  for (const [key, { values }] of arrays) {
    const at = parseNodeHook(key);
    if (at !== undefined) scores[KINDS[at.kind].states].set(scoresKey(at, at.kind), values as Float32Array);
  }
  return scores;
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

/** Whether the artifact has the scores of a kind: those of an SAE's parts, and others without SAEs or where the truth names them. */
function isWritten({ saes, sweep }: Plan, kind: NodeKind): boolean {
  return isSaeKind(kind) || saes.length === 0 || namesKind(sweep.truth, kind);
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

function addComponents(
  plan: Plan,
  shard: Shard,
  hook: string,
  parts: Components,
  components: Map<string, ComponentSums>,
): void {
  const longest = longestLength(plan);
  const length = lengthOf(plan, must(shard.prompts[0], "first prompt"));
  const empty = (): Float64Array => new Float64Array(longest);
  const sums = components.get(hook) ?? { delta_norm: empty(), grad_norm: empty(), cosine: empty(), dot: empty() };
  components.set(hook, sums);
  for (const [name, key] of Object.entries(COMPONENTS)) {
    const values = parts[key];
    const total = sums[name as keyof ComponentSums];
    for (let i = 0; i < values.length; i++) total[i % length] = (total[i % length] as number) + (values[i] as number);
  }
}

function firstWithComponents(plan: Plan): string | undefined {
  return plan.sweep.scores.find(({ method }) => SCORE_METHODS[method].hasComponents)?.name;
}

function encodeComponents(
  components: Map<string, ComponentSums>,
  counts: Float64Array,
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
    artifactMetadata(provenance, "computed per prompt, then mean over prompts that have the position"),
  );
}
