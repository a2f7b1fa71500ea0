/**
 * @file What an engine keeps from one shard of circuits to the next: scores, sets and means as they were read, and which nodes each evaluation
 * changes. All of it is the same for every block of prompts of one length.
 */
import { type Means, readMeans } from "../../artifacts/means-file.js";
import { readScoreMeans } from "../../artifacts/scores-file.js";
import { must } from "../../base/assert.js";
import type { Intervention } from "../../nodes/intervention.js";
import { type PackedIntervention, packed, unpacked } from "../../nodes/packed-intervention.js";
import type { Plan } from "../../plan/plan.js";
import type { ReadArtifact } from "../../run/artifacts.js";
import { type Choices, interventionOfEvaluation } from "./evaluation-interventions.js";
import { circuitScoresName, type Evaluation, evaluationsOf } from "./evaluations.js";
import { readSets } from "./sets-file.js";

/** Room for what evaluations change; beyond it that is chosen anew each time. */
const KEPT_BYTES = 256 * 2 ** 20;

/** Keeps choices of one plan. */
export interface KeptChoices {
  /** Evaluations of the plan. */
  readonly evaluations: readonly Evaluation[];
  /** What an evaluation does to every node of prompts with `length` positions. */
  intervention(index: number, length: number, artifact: ReadArtifact): Promise<Intervention>;
  /** The nodes of all sets, by key. */
  sets(artifact: ReadArtifact): Promise<Choices["sets"]>;
  /** Mean activations. */
  means(artifact: ReadArtifact): Promise<Means>;
}

/** Keeps nothing yet. */
export function keepChoices(plan: Plan): KeptChoices {
  const evaluations = evaluationsOf(plan.sweep);
  const known = new Map<string, PackedIntervention>();
  let bytes = 0;
  let scores: Choices["scores"] | undefined;
  let sets: Choices["sets"] | undefined;
  let means: Means | undefined;
  const readSetsOnce = async (artifact: ReadArtifact): Promise<Choices["sets"]> =>
    (sets ??= await readSets(artifact, plan));
  const readScores = async (artifact: ReadArtifact): Promise<Choices["scores"]> => {
    const name = circuitScoresName(plan.sweep);
    return (scores ??= name === undefined ? null : await readScoreMeans(artifact, name));
  };
  return {
    evaluations,
    sets: readSetsOnce,
    means: async (artifact) => (means ??= await readMeans(artifact)),
    intervention: async (index, length, artifact) => {
      const key = `${String(index)} ${String(length)}`;
      const found = known.get(key);
      if (found !== undefined) return unpacked(found);
      const choices = { scores: await readScores(artifact), sets: await readSetsOnce(artifact) };
      const chosen = interventionOfEvaluation(plan, must(evaluations[index], "evaluation"), choices, length);
      const small = packed(chosen);
      if (bytes + small.bytes <= KEPT_BYTES) {
        known.set(key, small);
        bytes += small.bytes;
      }
      return chosen;
    },
  };
}
