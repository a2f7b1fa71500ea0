/** @file What stands beside a point's metric: the sum of the mean scores of the nodes that it ablates. */
import { must } from "../../base/assert.js";
import type { RecordSource } from "../../artifacts/stage-records.js";
import { type NodeLists, without } from "../../nodes/node-lists.js";
import type { ScoreOf } from "../../plan/resolve-set.js";
import type { ReadArtifact } from "../../run/artifacts.js";
import { besideScores, pointsOf } from "./points.js";
import { readScoresOfSets } from "./sets-artifact.js";

/** The sums by the names of the points that ask for one. What is restored after all is not ablated, and does not count. */
export async function sumsBeside(
  { source, read }: { readonly source: RecordSource; readonly read: ReadArtifact },
  sets: ReadonlyMap<string, NodeLists>,
): Promise<ReadonlyMap<string, number>> {
  const scores = new Map<string, ScoreOf>();
  const sums = new Map<string, number>();
  for (const point of pointsOf(source.plan.sweep)) {
    const name = besideScores(point.configuration);
    if (name === undefined) continue;
    const scoreOf = scores.get(name) ?? (await readScoresOfSets(source, read, name));
    scores.set(name, scoreOf);
    const { ablate, restore } = point.sets;
    const named = must(sets.get(must(ablate, "ablate").key), "set");
    const ablated = restore === undefined ? named : without(named, must(sets.get(restore.key), "set"));
    sums.set(point.circuit, sumOfScores(ablated, scoreOf));
  }
  return sums;
}

/** The sum of the mean scores of nodes. */
export function sumOfScores(nodes: NodeLists, scoreOf: ScoreOf): number {
  let sum = 0;
  for (const [hook, indexes] of nodes) {
    const score = scoreOf(hook);
    for (const index of indexes) sum += score(index);
  }
  return sum;
}
