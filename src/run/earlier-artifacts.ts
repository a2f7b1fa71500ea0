/**
 * @file Artifacts of an earlier run that a run would make in the same way: the reductions of its stages need not be repeated.
 *
 * An artifact is read and compared with the hash that it was written with. Then the earlier plan's hash, which it names, is replaced by the
 * run's own: with that it is byte for byte what the reduction would write, wherever the reduction sees the same (stage-view.ts). Of a stage
 * all artifacts are taken over, or none.
 */
import type { Plan } from "../plan/plan.js";
import { stageView, type ViewedExperiment } from "../plan/stage-view.js";
import type { HasTasks } from "../plan/task-kinds.js";
import { artifactFile, readArtifact, writeArtifact } from "./artifacts.js";
import { checkKnownFile, isDamage } from "./known-file.js";
import type { ReusedArtifacts, RunFile } from "./run-folder.js";
import { artifactStages, type NamesArtifacts } from "./stage-artifacts.js";

/** What taking artifacts over needs of an experiment. */
export type ReusingExperiment = ViewedExperiment & HasTasks<NamesArtifacts>;

/** A run, and its plan. */
interface PlannedFolder {
  readonly folder: string;
  readonly plan: Plan;
  readonly planHash: string;
}

/** An earlier run. */
export interface EarlierFolder extends PlannedFolder {
  readonly file: RunFile;
  /** How its folder is called in run.json. */
  readonly from: string;
}

/**
 * Copies the artifacts of the stages that a complete earlier run reduced as the run would.
 * @param done - stages that have their artifacts.
 * @returns the stages whose reduction is not needed, and sentences on what is damaged there.
 */
export async function takeArtifacts(
  experiments: readonly ReusingExperiment[],
  run: PlannedFolder,
  earlier: EarlierFolder,
  done: ReadonlySet<string>,
): Promise<{ readonly taken: ReusedArtifacts[]; readonly damaged: string[] }> {
  const taken: ReusedArtifacts[] = [];
  const damaged: string[] = [];
  if (earlier.file.status !== "complete") return { taken, damaged };
  const names = byStage(experiments, run.plan);
  const theirs = byStage(experiments, earlier.plan);
  for (const [stage, own] of names) {
    if (done.has(stage) || own.join() !== theirs.get(stage)?.join()) continue;
    if (stageView(experiments, run.plan, stage) !== stageView(experiments, earlier.plan, stage)) continue;
    const read = await allOf(earlier.folder, own);
    if (read === null) {
      damaged.push(`artifacts of stage ${stage} in ${earlier.from} are damaged: made again from the records`);
      continue;
    }
    const sums: Record<string, string> = {};
    for (const [name, bytes] of read) {
      writeArtifact(run.folder, name, renamed(bytes, earlier.planHash, run.planHash));
      sums[name] = artifactFile(run.folder, name).sha256;
    }
    const warnings = earlier.file.stage_warnings?.[stage] ?? [];
    taken.push({ stage, sums, from: earlier.from, plan_hash: earlier.planHash, warnings });
  }
  return { taken, damaged };
}

/** An earlier run's artifacts by name; null where one of them is damaged, gone, or cannot be read. */
async function allOf(
  folder: string,
  names: readonly string[],
): Promise<readonly (readonly [name: string, bytes: Uint8Array])[] | null> {
  try {
    return await Promise.all(names.map(async (name) => [name, await readArtifact(folder, name)] as const));
  } catch {
    return null;
  }
}

/** What a stage's reduction would say, where its artifacts are those that were taken over; undefined where it has to be reduced. */
export async function warningsOfTaken(
  folder: string,
  { reused_artifacts: taken = [] }: RunFile,
  stage: string,
): Promise<readonly string[] | undefined> {
  const found = taken.find((one) => one.stage === stage);
  const sums = Object.entries(found?.sums ?? {});
  if (sums.length === 0) return undefined;
  try {
    for (const [name, sha256] of sums) await checkKnownFile({ ...artifactFile(folder, name), sha256 });
  } catch (thrown) {
    if (isDamage(thrown)) return undefined;
    throw thrown;
  }
  return found?.warnings;
}

/** Names of the artifacts that each stage writes. */
function byStage(experiments: readonly HasTasks<NamesArtifacts>[], plan: Plan): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const [name, stage] of artifactStages(experiments, plan)) names.set(stage, [...(names.get(stage) ?? []), name]);
  return names;
}

/** The bytes with another plan's hash: hashes are of one length, and stand there as text. */
function renamed(bytes: Uint8Array, before: string, after: string): Uint8Array {
  const copy = Buffer.from(bytes);
  for (let at = copy.indexOf(before); at >= 0; at = copy.indexOf(before, at + before.length))
    copy.write(after, at, "latin1");
  return copy;
}
