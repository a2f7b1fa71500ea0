/** @file `sets.parquet`: the nodes of every set that the sweep's configurations use, a row for each run of neighbours. */
import { must } from "../../base/assert.js";
import { artifactMetadata, type Provenance } from "../../artifacts/artifact-metadata.js";
import { type Column, decodeParquet, encodeParquet } from "../../artifacts/parquet.js";
import { KINDS } from "../../nodes/kinds.js";
import { parseNodeHook } from "../../nodes/node.js";
import { type NodeLists } from "../../nodes/node-lists.js";
import { nodesPerPlace } from "../../plan/node-places.js";
import type { Plan } from "../../plan/plan.js";
import type { ReadArtifact } from "../../run/artifacts.js";
import type { ResolvedSet } from "../../plan/resolve-set.js";
import { SETS_FILE, type SetUse, setUses } from "./points.js";

/** A use with its nodes, and their mean scores where the set went by scores. */
export interface ListedSet {
  readonly use: SetUse;
  readonly resolved: ResolvedSet;
  readonly scoreOf: ((hook: string) => (index: number) => number) | null;
}

/** Neighbours within one position. */
interface Run {
  readonly list: number;
  readonly hook: string;
  readonly position: number;
  readonly index: number;
  count: number;
  readonly score: number;
  readonly probability: number;
}

/** Writes the sets. Nodes with a score of their own have a row each. */
export function encodeSets(sets: readonly ListedSet[], provenance: Provenance): Uint8Array {
  const chunks = sets.map((set, list) => columnsOf(sets, runsOf(set, list, provenance.plan)));
  return encodeParquet(chunks, artifactMetadata(provenance, "none: score is the mean over the prompts that choose"));
}

function runsOf({ resolved: { nodes, drawn }, scoreOf }: ListedSet, list: number, plan: Plan): Run[] {
  const runs: Run[] = [];
  const widthOf = nodesPerPlace(plan);
  for (const [hook, indexes] of nodes) {
    const width = widthOf(hook);
    const draws = drawn.get(hook);
    let last: Run | undefined;
    for (const flat of indexes) {
      const position = Math.floor(flat / width);
      const index = flat - position * width;
      const isNext = last?.position === position && last.index + last.count === index;
      if (last !== undefined && isNext && scoreOf === null && draws === undefined) {
        last.count += 1;
        continue;
      }
      const score = scoreOf?.(hook)(flat) ?? Number.NaN;
      last = { list, hook, position, index, count: 1, score, probability: draws?.get(flat)?.inclusionProbability ?? 1 };
      runs.push(last);
    }
  }
  return runs;
}

function columnsOf(sets: readonly ListedSet[], runs: readonly Run[]): Column[] {
  const useOf = ({ list }: Run): SetUse => must(sets[list], "set").use;
  const text = (name: string, read: (run: Run) => string): Column => ({ name, type: "STRING", values: runs.map(read) });
  const whole = (name: string, read: (run: Run) => number): Column => ({
    name,
    type: "INT32",
    values: Int32Array.from(runs, read),
  });
  const float = (name: string, read: (run: Run) => number): Column => ({
    name,
    type: "DOUBLE",
    values: Float64Array.from(runs, read),
  });
  const at = ({ hook }: Run) => must(parseNodeHook(hook), hook);
  return [
    whole("list", ({ list }) => list),
    text("set", (run) => useOf(run).set),
    text("point", (run) => useOf(run).point),
    text("kind", (run) => at(run).kind),
    text("hook", ({ hook }) => hook),
    whole("layer", (run) => at(run).layer),
    whole("position", ({ position }) => position),
    whole("index", (run) => (KINDS[at(run).kind].index === null ? -1 : run.index)),
    whole("count", ({ count }) => count),
    float("score", ({ score }) => score),
    float("inclusion_probability", ({ probability }) => probability),
  ];
}

const read = new WeakMap<Plan, ReadonlyMap<string, NodeLists>>();

/** The sets by their keys; none where no configuration is on sets. They are read once for a plan. */
export async function readSets(artifact: ReadArtifact, plan: Plan): Promise<ReadonlyMap<string, NodeLists>> {
  const uses = setUses(plan.sweep);
  if (uses.length === 0) return new Map();
  const known = read.get(plan);
  if (known !== undefined) return known;
  const lists = await decodeSets(artifact, plan, uses.length);
  const sets = new Map(uses.map(({ key }, i) => [key, must(lists[i], key)]));
  read.set(plan, sets);
  return sets;
}

async function decodeSets(artifact: ReadArtifact, plan: Plan, count: number): Promise<readonly NodeLists[]> {
  const { rows } = await decodeParquet(await artifact(SETS_FILE), ["list", "hook", "position", "index", "count"]);
  const widthOf = nodesPerPlace(plan);
  const lists = Array.from({ length: count }, () => new Map<string, number[]>());
  for (const row of rows) {
    const hook = String(row["hook"]);
    const list = must(lists[Number(row["list"])], "set");
    const indexes = list.get(hook) ?? [];
    list.set(hook, indexes);
    const first = Number(row["position"]) * widthOf(hook) + Math.max(0, Number(row["index"]));
    for (let i = 0; i < Number(row["count"]); i++) indexes.push(first + i);
  }
  return lists.map((list) => new Map([...list].map(([hook, indexes]) => [hook, Int32Array.from(indexes)])));
}
