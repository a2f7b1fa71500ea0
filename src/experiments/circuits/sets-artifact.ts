/** @file The stage that resolves the sets of the sweep's configurations, once, from the mean scores that they go by. */
import { must } from "../../base/assert.js";
import type { EndNodes } from "../../artifacts/end-scores.js";
import type { ReductionInputs } from "../../artifacts/reduction.js";
import { readSetScores } from "../../artifacts/set-scores.js";
import type { RecordSource } from "../../artifacts/stage-records.js";
import { isPartKind, NODE_KINDS } from "../../nodes/kinds.js";
import { kindsAt } from "../../nodes/node-states.js";
import { sizeOfLists } from "../../nodes/node-lists.js";
import { tokenCounts } from "../../plan/held-out.js";
import type { Plan, StageTask } from "../../plan/plan.js";
import { resolveSet, type ScoreOf } from "../../plan/resolve-set.js";
import { setContext } from "../../plan/set-context.js";
import { setsOf, termsOf } from "../../plan/set-expression.js";
import type { ReadArtifact } from "../../run/artifacts.js";
import { circuitSites } from "../../plan/circuit-sites.js";
import { namesParts, pointsOf, scoresOfUse, setScores, setUses, type SetUse, SETS_FILE } from "./points.js";
import { encodeSets, type ListedSet } from "./sets-file.js";

/** Resolves every set and writes them. @returns warnings: configurations that change nothing. */
export async function reduce(
  _task: StageTask,
  { source, provenance, artifacts }: ReductionInputs,
): Promise<readonly string[]> {
  const { plan } = source;
  const uses = setUses(plan.sweep);
  const sets = setsOf(plan.sweep);
  const scores = new Map<string, ScoreOf>();
  for (const name of setScores(plan.sweep)) scores.set(name, await readScoresOfSets(source, artifacts.read, name));
  const scoresOf = (name: string): ScoreOf => must(scores.get(name), name);
  const listed = uses.map((use): ListedSet => {
    const resolved = resolveSet(use.expression, {
      ...setContext({ ...plan, lengths: tokenCounts(plan) }),
      by: use.by,
      seed: use.seed ?? plan.sweep.seed,
      scores: scoresOf,
    });
    const by = scoresOfUse(use, sets);
    const [one] = by;
    return { use, resolved, scoreOf: one !== undefined && new Set(by).size === 1 ? scoresOf(one) : null };
  });
  artifacts.write(SETS_FILE, encodeSets(listed, provenance));
  return idlePoints(plan, listed);
}

/** Mean scores `name` of the nodes of a plan's sets, those at positions from the end too. */
export function readScoresOfSets(source: RecordSource, read: ReadArtifact, name: string): Promise<ScoreOf> {
  return readSetScores(name, { source, read, ends: endNodes(source.plan) });
}

/** All nodes at the positions from the end that the sweep's sets name. */
function endNodes(plan: Plan): EndNodes[] {
  const sets = setsOf(plan.sweep);
  if (!tokenCounts(plan).areMixed) return [];
  const named = setUses(plan.sweep).flatMap(({ expression }) =>
    termsOf(expression, sets).flatMap(({ at }) => at ?? []),
  );
  const ends = [...new Set(named)].filter((one) => typeof one === "number").filter((one) => one < 0);
  if (ends.length === 0) return [];
  const parts = namesParts(plan.sweep) ? NODE_KINDS.filter(isPartKind) : [];
  return circuitSites(plan).flatMap((at) => [...kindsAt(at), ...parts].map((kind) => ({ kind, at, ends })));
}

/** A warning for each experiment with points that ablate nothing. */
function idlePoints(plan: Plan, listed: readonly ListedSet[]): string[] {
  const sizes = new Map(listed.map(({ use, resolved }) => [use.key, sizeOfLists(resolved.nodes)]));
  const sizeOf = (use: SetUse | undefined): number => (use === undefined ? 0 : (sizes.get(use.key) ?? 0));
  const idle = new Map<string, string[]>();
  for (const point of pointsOf(plan.sweep)) {
    const { keep, ablate } = point.sets;
    if (keep !== undefined || sizeOf(ablate) > 0) continue;
    idle.set(point.experiment, [...(idle.get(point.experiment) ?? []), point.circuit]);
  }
  return [...idle].map(
    ([name, circuits]) =>
      `experiments: ${String(circuits.length)} of the points of ${name} ablate nothing, the first ${String(circuits[0])}: they are the unablated run`,
  );
}
