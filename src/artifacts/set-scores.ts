/** @file The mean scores that sets of nodes go by, at positions from BOS and from the end. */
import { must } from "../base/assert.js";
import { KINDS } from "../nodes/kinds.js";
import { parseNodeHook } from "../nodes/node.js";
import { scoresKey } from "../nodes/node-states.js";
import type { ScoreOf } from "../plan/resolve-set.js";
import type { ReadArtifact } from "../run/artifacts.js";
import { type EndNodes, readEndScores } from "./end-scores.js";
import { readScoreMeans } from "./scores-file.js";
import type { RecordSource } from "./stage-records.js";

/** Where mean scores are read. */
export interface ScoreSource {
  readonly source: RecordSource;
  readonly read: ReadArtifact;
  /** Nodes at positions from the end that are asked for. */
  readonly ends: readonly EndNodes[];
}

/** Mean scores `name` by node. */
export async function readSetScores(name: string, { source, read, ends }: ScoreSource): Promise<ScoreOf> {
  const means = await readScoreMeans(read, name);
  const endScores = await readEndScores(source, name, ends);
  return (hook) => {
    const at = must(parseNodeHook(hook), hook);
    const ofSite = must(means[KINDS[at.kind].states].get(scoresKey(at, at.kind)), `scores of ${hook}`);
    const fromEnd = endScores.get(hook);
    return (index) => (index < 0 ? (fromEnd?.get(index) ?? 0) : must(ofSite[index], "score"));
  };
}
