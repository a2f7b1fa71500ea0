/**
 * @file Mean scores at positions that count from the end of each prompt, where prompts have several lengths: scores artifacts hold means by
 * position from BOS, so these are added up from the records. They are indexed as others are, by `position * width + index`, below 0.
 */
import { must } from "../base/assert.js";
import { countPositions, lengthOf } from "./position-counts.js";
import { type ScoresResult, decodeScores } from "./scores-payload.js";
import { forEachRecord, type RecordSource } from "./stage-records.js";
import { KINDS, type NodeKind } from "../nodes/kinds.js";
import { nodeHook } from "../nodes/node.js";
import { siteHook, type SiteAt } from "../nodes/site.js";
import { promptUse } from "../plan/held-out.js";
import { sizesAt } from "../plan/node-places.js";

/** Nodes of one kind at one site, and their positions from the end. */
export interface EndNodes {
  readonly kind: NodeKind;
  readonly at: SiteAt;
  readonly ends: readonly number[];
}

/** By node hook: the mean score over the prompts that have the position; what is not listed is 0. */
export type EndScores = ReadonlyMap<string, ReadonlyMap<number, number>>;

/** Reads the records of scores `name` for the nodes that are asked for, of prompts that choose. */
export async function readEndScores(
  source: RecordSource,
  name: string,
  asked: readonly EndNodes[],
): Promise<EndScores> {
  if (asked.length === 0) return new Map();
  const { plan } = source;
  const sums = new Map(asked.map(({ at, kind }) => [nodeHook(at, kind), new Map<number, number>()]));
  const prompts: number[] = [];
  await forEachRecord(source, `scores-${name}`, (shard, payload) => {
    const first = must(shard.prompts[0], "first prompt");
    if (promptUse(plan, first) === "evaluate") return;
    prompts.push(...shard.prompts);
    const scores = decodeScores(payload);
    const length = lengthOf(plan, first);
    for (const { kind, at, ends } of asked) {
      const width = KINDS[kind].perPosition(sizesAt(plan, at));
      const sum = must(sums.get(nodeHook(at, kind)), "sums");
      const wanted = new Set(ends);
      eachScore(scores, { kind, at, perPrompt: length * width }, (index, score) => {
        const fromEnd = index - length * width;
        if (wanted.has(Math.floor(fromEnd / width))) sum.set(fromEnd, (sum.get(fromEnd) ?? 0) + score);
      });
    }
  });
  const counts = countPositions(plan, prompts);
  for (const { kind, at } of asked) {
    const width = KINDS[kind].perPosition(sizesAt(plan, at));
    const sum = must(sums.get(nodeHook(at, kind)), "sums");
    // As many prompts have the position -k as have k tokens.
    for (const [index, total] of sum) sum.set(index, total / must(counts[-Math.floor(index / width) - 1], "count"));
  }
  return sums;
}

/** Calls `take` with the index `position * width + index within` and the score of every prompt's nodes of a kind at a site. */
function eachScore(
  scores: ScoresResult,
  { kind, at, perPrompt }: Pick<EndNodes, "kind" | "at"> & { readonly perPrompt: number },
  take: (index: number, score: number) => void,
): void {
  const values = scores[kind].get(siteHook(at));
  if (values === undefined) return;
  if (values instanceof Float32Array)
    values.forEach((score, i) => {
      take(i % perPrompt, score);
    });
  else
    values.index.forEach((index, i) => {
      take(index, must(values.value[i], "score"));
    });
}
