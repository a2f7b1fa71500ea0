/** @file `scores-<name>.safetensors` as the experiments that rank nodes read it. */
import { KINDS } from "../nodes/kinds.js";
import { parseNodeHook } from "../nodes/node.js";
import { scoresKey } from "../nodes/node-states.js";
import type { NodeScores } from "../nodes/selection.js";
import type { ReadArtifact } from "../run/artifacts.js";
import { decodeSafetensors } from "../weights/safetensors.js";

/** The artifact's name. */
export const scoresFile = (name: string): string => `scores-${name}.safetensors`;

/** {@link NodeScores} as a scores artifact holds them; positions are those of the longest prompt. */
export type ScoreMeans = { readonly [Kind in keyof Required<NodeScores>]: ReadonlyMap<string, Float32Array> };

/** Reads the means of the artifact of scores `name`: what circuits and node selection rank by. */
export async function readScoreMeans(read: ReadArtifact, name: string): Promise<ScoreMeans> {
  const { arrays } = decodeSafetensors(await read(scoresFile(name)), { file: scoresFile(name) });
  const scores = {
    features: new Map<string, Float32Array>(),
    errors: new Map<string, Float32Array>(),
    slices: new Map<string, Float32Array>(),
    linear: new Map<string, Float32Array>(),
    nonlinear: new Map<string, Float32Array>(),
  };
  for (const [key, { values }] of arrays) {
    const at = parseNodeHook(key);
    if (at !== undefined) scores[KINDS[at.kind].states].set(scoresKey(at, at.kind), values as Float32Array);
  }
  return scores;
}
