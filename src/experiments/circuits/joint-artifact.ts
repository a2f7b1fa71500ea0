/** @file Makes `joint.parquet` of the records of joint patches, with the sums of the scores of each set's nodes. */
import { encodeJoint, type JointRow, type JointSet } from "../../artifacts/joint-file.js";
import type { ReductionInputs } from "../../artifacts/reduction.js";
import { forEachRecord } from "../../artifacts/stage-records.js";
import { must } from "../../base/assert.js";
import { sizeOfLists } from "../../nodes/node-lists.js";
import type { StageTask } from "../../plan/plan.js";
import { JOINT_FILE } from "../../run/stage-artifacts.js";
import type { ScoreOf } from "../../plan/resolve-set.js";
import { decodeJointResult } from "./joint-payload.js";
import { jointUses, setUses } from "./points.js";
import { readScoresOfSets } from "./sets-artifact.js";
import { readSets } from "./sets-file.js";
import { sumOfScores } from "./sums-beside.js";

/** Writes the table. @returns warnings: sets without nodes. */
export async function reduce(
  _task: StageTask,
  { source, provenance, artifacts }: ReductionInputs,
): Promise<readonly string[]> {
  const { sweep } = source.plan;
  const uses = jointUses(sweep);
  const rows: JointRow[][] = uses.map(() => []);
  await forEachRecord(source, "joint", ({ prompts, slots }, payload) => {
    const { metricClean, metricCorrupted, metricPatched } = decodeJointResult(payload);
    const [start, end] = must(slots, "slots");
    for (let s = start; s < end; s++)
      prompts.forEach((prompt, p) => {
        must(rows[s], "set").push({
          prompt,
          metricClean: must(metricClean[p], "metric"),
          metricCorrupted: must(metricCorrupted[p], "metric"),
          metricPatched: must(metricPatched[(s - start) * prompts.length + p], "metric"),
        });
      });
  });
  const names = sweep.scores.map(({ name }) => name);
  const scores = new Map<string, ScoreOf>();
  for (const name of names) scores.set(name, await readScoresOfSets(source, artifacts.read, name));
  const nodes = await readSets(artifacts.read, source.plan);
  const keys = setUses(sweep).map(({ key }) => key);
  const sets = uses.map(({ set, key }, s): JointSet => {
    const own = must(nodes.get(key), set);
    return {
      set,
      list: keys.indexOf(key),
      size: sizeOfLists(own),
      scores: new Map([...scores].map(([name, scoreOf]) => [name, sumOfScores(own, scoreOf)])),
      rows: must(rows[s], "rows").sort((a, b) => a.prompt - b.prompt),
    };
  });
  artifacts.write(JOINT_FILE, encodeJoint(sets, names, provenance));
  return sets
    .filter(({ size }) => size === 0)
    .map(({ set }) => `truth: the set ${set} of \`joint\` has no node: patching it changes nothing`);
}
