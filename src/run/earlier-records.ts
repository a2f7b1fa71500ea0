/**
 * @file Records of earlier runs, taken over where they are what a run would compute: nothing is computed twice.
 *
 * 1. The shards of the run that have no record are wanted, by their keys (shard-keys.ts).
 * 2. Folders of runs are looked at, the latest first. run.json tells of another environment, model or SAEs; only then is a plan read.
 * 3. A record whose shard has a wanted key is read, which verifies its hashes, and appended to the run's own log under the shard of this
 *    run. From there on it is a record as any other. It says in the place of the worker whose it was.
 * 4. What is damaged is told, and left to other runs or to be computed.
 */
import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { type Environment, environmentFingerprint } from "../base/environment.js";
import { counted } from "../base/counted.js";
import { badInput } from "../base/errors.js";
import { mapInOrder } from "../base/map-in-order.js";
import { findShard, type Plan } from "../plan/plan.js";
import { type KeyedTask, type ShardKey, shardKeys } from "../plan/shard-keys.js";
import type { HasTasks } from "../plan/task-kinds.js";
import { hasDirectoryRecord, openDirectoryLog, readDirectoryRecord } from "../runlog/directory-log.js";
import type { RecordEnvelope, RunLog, RunRecord } from "../runlog/run-log.js";
import { type ReusingExperiment, takeArtifacts } from "./earlier-artifacts.js";
import {
  foldersIn,
  holdsRun,
  readPlan,
  readRunFile,
  type ReusedArtifacts,
  type ReusedShards,
  type RunFile,
  runPaths,
  writeRunFile,
} from "./run-folder.js";

/** Most folders that are looked at. */
const MOST_RUNS = 300;
/** Records that are copied at once. */
const COPIES_AT_ONCE = 8;
/** What the envelope of a record that was taken over says instead of a worker's name. */
const TAKEN_FROM = /^reused from (.+), plan ([0-9a-f]{64})$/;

/** Where earlier runs are looked for. */
export type EarlierRunsAt =
  /** In the folder that holds the run's. */
  | { readonly kind: "beside" }
  /** A run's folder, or one that holds folders of runs. */
  | { readonly kind: "in"; readonly folder: string }
  /** Nowhere. */
  | { readonly kind: "nowhere" };

/** The run that wants records. */
export interface WantingRun {
  /** Its folder, which need not be there yet. */
  readonly folder: string;
  readonly plan: Plan;
  readonly environment: Environment;
}

/** A shard of an earlier run that is a shard of this one. */
interface Match {
  readonly theirs: string;
  readonly ours: string;
}

/** An earlier run, and what it has of this one. */
interface Offer {
  readonly folder: string;
  readonly file: RunFile;
  readonly plan: Plan;
  readonly matches: readonly Match[];
}

/** Passes where earlier runs can be looked for there. @throws PatchbayError `bad_input`. */
export function checkEarlierRuns(at: EarlierRunsAt): void {
  if (at.kind !== "in" || holdsRun(at.folder) || readableIn(at.folder).some(holdsRun)) return;
  const found = statSync(at.folder, { throwIfNoEntry: false });
  const why = found === undefined ? "there is no such folder" : found.isDirectory() ? "this folder holds none" : "this is a file"; // prettier-ignore
  throw badInput(`expected the folder of a run, or one that holds folders of runs: ${why}`, {
    field: `--reuse ${at.folder}`,
  });
}

/**
 * Takes over what earlier runs have of a run that is prepared, and writes into its run.json what came from where.
 * @returns what was taken over, at this start and before it.
 */
export async function reuseRecords(
  experiments: readonly (HasTasks<KeyedTask> & ReusingExperiment)[],
  run: WantingRun,
  at: EarlierRunsAt,
): Promise<readonly ReusedShards[]> {
  const log = await openDirectoryLog(runPaths(run.folder).log);
  try {
    const before = await log.list();
    const recorded = new Set(before.map(({ shard }) => shard));
    const damaged: string[] = [];
    const { plan_hash: planHash, reused_artifacts: taken = [] } = readRunFile(run.folder);
    const artifacts = [...taken];
    for (const offer of offers(experiments, run, at, recorded)) {
      damaged.push(...(await takeOver(run, offer, log, recorded)));
      const earlier = { ...offer, planHash: offer.file.plan_hash, from: nameOf(run, offer) };
      const done = new Set(artifacts.map(({ stage }) => stage));
      const found = await takeArtifacts(experiments, { ...run, planHash }, earlier, done);
      artifacts.push(...found.taken);
      damaged.push(...found.damaged);
    }
    const reused = reusedIn(run.plan, await log.list());
    noteReused(run.folder, { reused, artifacts, damaged });
    return reused;
  } finally {
    await log.close();
  }
}

/** How many shards of a run that is not begun earlier runs would give, by what their logs seem to hold: nothing is verified. */
export function countReusable(experiments: readonly HasTasks<KeyedTask>[], run: WantingRun, at: EarlierRunsAt): number {
  const found = new Set<string>();
  for (const { folder, matches } of offers(experiments, run, at, found))
    for (const { ours, theirs } of matches) if (hasDirectoryRecord(runPaths(folder).log, theirs)) found.add(ours);
  return found.size;
}

/** Whether a record was another run's. */
export function isTakenOver({ worker }: RecordEnvelope): boolean {
  return TAKEN_FROM.test(worker);
}

/** What the run's log holds of others, by stage and where it came from. */
function reusedIn(plan: Plan, records: readonly RecordEnvelope[]): ReusedShards[] {
  const { stages } = plan;
  const found = new Map<string, ReusedShards>();
  for (const { shard, worker } of records) {
    const [, from, hash] = TAKEN_FROM.exec(worker) ?? [];
    const stage = from === undefined ? undefined : findShard(plan, shard)?.stage;
    if (from === undefined || hash === undefined || stage === undefined) continue;
    const key = `${stage.id} ${worker}`;
    const shards = (found.get(key)?.shards ?? 0) + 1;
    found.set(key, { stage: stage.id, shards, of: stage.shards.length, from, plan_hash: hash });
  }
  const order = stages.map(({ id }) => id);
  return [...found.values()].sort((a, b) => order.indexOf(a.stage) - order.indexOf(b.stage));
}

/** What became of looking for earlier runs. */
interface Found {
  readonly reused: readonly ReusedShards[];
  readonly artifacts: readonly ReusedArtifacts[];
  readonly damaged: readonly string[];
}

function noteReused(folder: string, { reused, artifacts, damaged }: Found): void {
  const { reused: _before, ...file } = readRunFile(folder);
  writeRunFile(folder, {
    ...file,
    ...(reused.length === 0 ? {} : { reused: [...reused] }),
    ...(artifacts.length === 0 ? {} : { reused_artifacts: [...artifacts] }),
    warnings: [...new Set([...file.warnings, ...damaged])],
  });
}

/** Earlier runs that have shards of this one which are not yet in `recorded`; a run is looked at when it is asked for. */
function* offers(
  experiments: readonly HasTasks<KeyedTask>[],
  run: WantingRun,
  at: EarlierRunsAt,
  recorded: ReadonlySet<string>,
): Generator<Offer> {
  const { folder, plan, environment } = run;
  const candidates = candidatesAt(at, folder).filter(({ file }) => otherParts(file, run).length === 0);
  if (candidates.length === 0) return;
  const name = shortNames();
  const ours = wantedShards(shardKeys(experiments, plan, environment, name));
  const shards = plan.stages.reduce((sum, stage) => sum + stage.shards.length, 0);
  for (const { folder: theirFolder, file } of candidates) {
    if (recorded.size >= shards) return;
    const matches: Match[] = [];
    const theirs = readPlanOf(theirFolder, file, (earlier) => {
      for (const [shard, key] of shardKeys(experiments, earlier, environment, name))
        for (const one of ours.get(key) ?? []) if (!recorded.has(one)) matches.push({ theirs: shard, ours: one });
    });
    if (theirs !== null && matches.length > 0) yield { folder: theirFolder, file, plan: theirs, matches };
  }
}

/** Short names of hashes, as there are very many keys of few hashes. */
function shortNames(): (hash: string) => string {
  const known = new Map<string, string>();
  return (hash) => {
    const name = known.get(hash) ?? known.size.toString(36);
    known.set(hash, name);
    return name;
  };
}

/** Shards by their keys. */
function wantedShards(keys: Iterable<ShardKey>): Map<string, string[]> {
  const wanted = new Map<string, string[]>();
  for (const [shard, key] of keys) {
    const same = wanted.get(key);
    if (same === undefined) wanted.set(key, [shard]);
    else same.push(shard);
  }
  return wanted;
}

/** An earlier run's plan, when `use` has seen it; null where it cannot be read, or has what this build does not know. */
function readPlanOf(folder: string, file: RunFile, use: (plan: Plan) => void): Plan | null {
  try {
    const plan = readPlan(folder, file.plan_hash);
    use(plan);
    return plan;
  } catch {
    return null;
  }
}

/** Run folders with a run.json that can be read, the latest first; the run's own is none of them. */
function candidatesAt(at: EarlierRunsAt, own: string): { readonly folder: string; readonly file: RunFile }[] {
  if (at.kind === "nowhere") return [];
  const given = at.kind === "beside" ? dirname(resolve(own)) : at.folder;
  const folders = at.kind === "in" && holdsRun(given) ? [given] : readableIn(given).filter(holdsRun);
  return folders
    .filter((folder) => identity(folder) !== identity(own))
    .map((folder) => ({ folder, changed: statSync(runPaths(folder).run, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.changed - a.changed || (a.folder < b.folder ? -1 : 1))
    .slice(0, MOST_RUNS)
    .flatMap(({ folder }) => {
      try {
        return [{ folder, file: readRunFile(folder) }];
      } catch {
        return []; // Of another version, or no run at all.
      }
    });
}

/** What lies in a folder; nothing where that must not be listed. */
function readableIn(folder: string): string[] {
  try {
    return foldersIn(folder);
  } catch {
    return [];
  }
}

const identity = (folder: string): string => (existsSync(folder) ? realpathSync(folder) : resolve(folder));

/** What of all that a run was computed on is other than this one's: most are told apart by it, without their plans. */
function otherParts({ fingerprints: theirs }: RunFile, { plan, environment }: WantingRun): string[] {
  const { model, saes } = plan.fingerprints;
  const ours = { model, saes, ...environment };
  return (Object.keys(ours) as (keyof typeof ours)[]).filter((part) => theirs[part] !== ours[part]);
}

/** Why earlier runs have nothing of a run, where some were named to be looked at. */
export function whyNothing(run: WantingRun, at: EarlierRunsAt): string {
  const runs = candidatesAt(at, run.folder);
  const apart = runs.map(({ file }) => otherParts(file, run));
  if (runs.length === 0) return "there is no other run that can be read";
  if (apart.some((parts) => parts.length === 0)) return "no shard that is left to do is one of theirs";
  const parts = [...new Set(apart.flat())].join(", ");
  return runs.length === 1
    ? `it was computed on other ${parts}`
    : `its ${String(runs.length)} runs were computed on other ${parts}`;
}

/** How run.json calls an earlier run: its folder, from the one that holds the run's. */
function nameOf({ folder }: WantingRun, offer: Offer): string {
  return relative(dirname(resolve(folder)), resolve(offer.folder));
}

/** Appends what an earlier run has. @returns a sentence on what is damaged there. */
async function takeOver(run: WantingRun, offer: Offer, log: RunLog, recorded: Set<string>): Promise<string[]> {
  const from = nameOf(run, offer);
  const planHash = readRunFile(run.folder).plan_hash;
  const fingerprint = environmentFingerprint(run.environment);
  const damaged = await mapInOrder(offer.matches, COPIES_AT_ONCE, async ({ theirs, ours }) => {
    if (recorded.has(ours)) return [];
    const record = await soundRecord(offer, theirs, fingerprint);
    if (record === "damaged") return [theirs];
    if (record === null) return [];
    const worker = `reused from ${from}, plan ${offer.file.plan_hash}`;
    const envelope = { ...record.envelope, planHash, shard: ours, attempt: 0, epoch: 0, worker };
    await log.append(envelope, record.payload);
    recorded.add(ours);
    return [];
  });
  const shards = [...new Set(damaged.flat())];
  const [first] = shards;
  if (first === undefined) return [];
  return [`${counted(shards.length, "record")} of ${from} not reused: damaged, the first that of ${first}`];
}

/** An earlier run's record, its hashes verified; null where it has none. One that cannot be read, or is another run's, is as good as damaged. */
async function soundRecord(
  { folder, file }: Offer,
  shard: string,
  environment: string,
): Promise<RunRecord | "damaged" | null> {
  try {
    const record = await readDirectoryRecord(runPaths(folder).log, shard);
    if (record === null) return null;
    const { envelope } = record;
    return envelope.planHash === file.plan_hash && envelope.environment === environment ? record : "damaged";
  } catch {
    return "damaged";
  }
}
