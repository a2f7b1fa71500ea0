/** @file What the truth's part of a report is made of. */
import { bytesOf, rowsOf, type RunContents } from "../../../report/run-contents.js";
import { evaluatedPrompts } from "../../../plan/held-out.js";
import { LISTED_KINDS } from "../../../nodes/kinds.js";
import { truthDonorOf } from "../../../plan/node-list.js";
import { namesKind } from "../../../plan/node-slots.js";
import { runPaths } from "../../../run/run-folder.js";
import { fittingMethods, fittingScores } from "../score-donors.js";
import { firstPatched } from "../validation-groups.js";
import { type NodeRow, toNodeRow } from "./node-row.js";
import {
  type Difference,
  type Group,
  type JointPatch,
  parseValidation,
  type Reliability,
  type UnmeasuredStratum,
} from "./validation-file.js";

/** A run with its truth. What is not there is null. */
export interface TruthContents extends RunContents {
  readonly nodes: readonly NodeRow[] | null;
  /** Groups of all layers together. */
  readonly groups: readonly Group[] | null;
  /** Groups of one layer. */
  readonly layerGroups: readonly Group[];
  readonly differences: readonly Difference[];
  readonly unmeasured: readonly UnmeasuredStratum[];
  readonly reliability: readonly Reliability[];
  /** Sets that were patched all at once. */
  readonly joint: readonly JointPatch[];
  /** Before it no patch changes anything, and no node is compared. */
  readonly firstPatched: number;
  /** Clusters of the prompts; null in a file of version 1, whose intervals resample single prompts. */
  readonly clusters: number | null;
}

/** The score that sentences and tables of one score are about: the first that estimates the measured effect, else the first. */
export function mainScore(contents: TruthContents): string | undefined {
  return estimates(contents)[0] ?? contents.plan.sweep.scores[0]?.name;
}

/** Whether single nodes are patched, and not sets alone. */
export function asksNodes({ plan }: TruthContents): boolean {
  return LISTED_KINDS.some((kind) => namesKind(plan.sweep, kind));
}

/** Names of the scores that are shown as estimates: those of the measured effect; all, where no method estimates it. */
export function estimates({ plan, methods }: TruthContents): string[] {
  const isAny = fittingMethods(methods, truthDonorOf(plan.sweep)).length === 0;
  return isAny ? plan.sweep.scores.map(({ name }) => name) : fittingScores(methods, plan.sweep);
}

/** Reads the truth's artifacts. @throws PatchbayError `bad_input`, `damaged_artifact`. */
export async function readTruthContents(contents: RunContents): Promise<TruthContents> {
  const { plan, folder } = contents;
  const names = plan.sweep.scores.map(({ name }) => name);
  const bytes = await bytesOf(contents, "validation.json");
  const validation = bytes === null ? null : parseValidation(bytes, runPaths(folder).artifact("validation.json"));
  return {
    ...contents,
    nodes: await rowsOf(contents, "validation.parquet", (row) => toNodeRow(row, names)),
    groups: validation?.groups.filter(({ layer }) => layer === null) ?? null,
    layerGroups: validation?.groups.filter(({ layer }) => layer !== null) ?? [],
    differences: validation?.differences ?? [],
    unmeasured: validation?.unmeasured ?? [],
    reliability: validation?.reliability ?? [],
    joint: validation?.joint ?? [],
    firstPatched: firstPatched(plan.sweep, evaluatedPrompts(plan)),
    clusters: validation?.clusters ?? null,
  };
}
