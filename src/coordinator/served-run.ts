/**
 * @file A run as the coordinator serves it: its folder, plan and logs, and the replay of what is already recorded.
 *
 * With NATS the run's log is the JetStream one, and every accepted record is copied to `<folder>/log`. A record counts when
 * it is in the folder: NATS is transport and buffer, not the only copy.
 */
import { basename } from "node:path";
import { must } from "../base/assert.js";
import { PatchbayError, toPatchbayError } from "../base/errors.js";
import { sha256 } from "../base/hash.js";
import { mapInOrder } from "../base/map-in-order.js";
import type { Plan } from "../plan/plan.js";
import { environmentOfRun, readPlan, readRunFile, runName, runPaths, type RunFile } from "../run/run-folder.js";
import { isTakenOver } from "../run/earlier-records.js";
import { openDirectoryLog } from "../runlog/directory-log.js";
import { openRunLog } from "../runlog/open-run-log.js";
import { unlessDamaged } from "../runlog/record-codec.js";
import type { RecordEnvelope, RunLog, RunRecord } from "../runlog/run-log.js";
import { environmentFingerprint, type Environment } from "../base/environment.js";
import type { RecordFacts, Report, RunToAdd } from "./events.js";
import { placeOf } from "../plan/stage-shards.js";
import { RecordedShards } from "./recorded-shards.js";

/** Records that are read at once. */
const READS_AT_ONCE = 8;
/** Records whose envelopes are held at once. */
const READS_IN_A_ROUND = 1024;

/** A run folder to serve: it holds run.json and plan.json. */
export interface RunToServe {
  /** Absolute path. */
  readonly folder: string;
  /** `dir`: the folder's own log; or `nats://HOST:PORT`. */
  readonly log: string;
}

/** An opened run. Owner: whoever opened it, through `close`. */
export interface ServedRun {
  readonly id: string;
  readonly folder: string;
  readonly plan: Plan;
  /** run.json as it was when the run was opened. */
  readonly file: RunFile;
  readonly environment: Environment;
  /** Where workers write. */
  readonly logLocation: string;
  readonly log: RunLog;
  /** The folder's log; the same as `log` unless that is elsewhere. */
  readonly mirror: RunLog;
  close(): Promise<void>;
}

/**
 * Opens a run folder and its logs.
 * @throws PatchbayError `bad_input` for a folder without a sound run.json and plan.json; `nats_unreachable`.
 */
export async function openServedRun({ folder, log: location }: RunToServe): Promise<ServedRun> {
  const file = readRunFile(folder);
  const plan = readPlan(folder, file.plan_hash);
  const id = runId(file);
  const own = runPaths(folder).log;
  const logLocation = location === "dir" ? `dir:${own}` : location;
  const mirror = await openDirectoryLog(own);
  let closed = false;
  const log = location === "dir" ? mirror : await openRunLog(location, id);
  return {
    id,
    folder,
    plan,
    file,
    environment: environmentOfRun(file),
    logLocation,
    log,
    mirror,
    close: async () => {
      if (closed) return;
      closed = true;
      await log.close();
      if (log !== mirror) await mirror.close();
    },
  };
}

/** Names the run in status, leases and NATS subjects; stays the same when the run is continued. */
export function runId({ name, plan_hash, started }: RunFile): string {
  return `${runName(name, plan_hash)}-${sha256(`${plan_hash} ${started}`).slice(0, 6)}`;
}

/** What the logs hold of a run. */
export interface Replay {
  /** By stage, in the plan's order. */
  readonly recorded: readonly RecordedShards[];
  /** How many shards have one. */
  readonly records: number;
  /** Largest epoch of any record; 0 without records. */
  readonly epoch: number;
}

/**
 * Reads every recorded shard of the plan, verifies it, and copies it to the folder where it is missing there.
 * @throws PatchbayError `different_plan`, `different_environment` when a record does not belong to this run.
 */
export async function replay(run: ServedRun): Promise<Replay> {
  const listed = new Set((await run.mirror.list()).map(({ shard }) => shard));
  if (run.log !== run.mirror) for (const { shard } of await run.log.list()) listed.add(shard);
  const indexesOf = run.plan.stages.map((): number[] => []);
  for (const id of listed) {
    const place = placeOf(run.plan, id);
    if (place !== undefined) indexesOf[place.stage]?.push(place.shard);
  }
  const recorded: RecordedShards[] = [];
  let records = 0;
  let epoch = 0;
  for (const [stage, { shards }] of run.plan.stages.entries()) {
    const found = new RecordedShards(shards.length);
    const indexes = must(indexesOf[stage], "stage").sort((a, b) => a - b);
    for (let start = 0; start < indexes.length; start += READS_IN_A_ROUND) {
      const round = indexes.slice(start, start + READS_IN_A_ROUND);
      // Payloads are not held: a run's are larger than the memory.
      const envelopes = await mapInOrder(
        round,
        READS_AT_ONCE,
        async (index) => (await readOrCopy(run, shards.at(index).id))?.envelope ?? null,
      );
      for (const [i, envelope] of envelopes.entries()) {
        if (envelope === null) continue;
        expectOurs(run, envelope);
        found.add(must(round[i], "index"), factsOf(envelope));
        records++;
        epoch = Math.max(epoch, envelope.epoch);
      }
    }
    recorded.push(found);
  }
  return { recorded, records, epoch };
}

async function readOrCopy({ log, mirror }: ServedRun, shard: string): Promise<RunRecord | null> {
  const kept = await unlessDamaged(mirror.read(shard));
  if (kept !== null || log === mirror) return kept;
  const record = await unlessDamaged(log.read(shard));
  if (record !== null) await mirror.append(record.envelope, record.payload);
  return record;
}

/**
 * Checks the record of a reported shard and copies it to the folder. A log that is away is waited for, as long as the run is open.
 * @throws PatchbayError `corrupt_record`, `different_plan`, `different_environment`.
 */
export async function verifyReport(run: ServedRun, { shard }: Report): Promise<RecordFacts> {
  const record = await readWhenThere(run.log, shard);
  if (record === null)
    throw new PatchbayError("corrupt_record", `${shard}: the worker reported a record that is not in the log`);
  expectOurs(run, record.envelope);
  if (run.log !== run.mirror) await run.mirror.append(record.envelope, record.payload);
  return factsOf(record.envelope);
}

/** The log waits a minute by itself for its server, and refuses at once when it was closed. */
async function readWhenThere(log: RunLog, shard: string): Promise<RunRecord | null> {
  for (;;) {
    try {
      return await log.read(shard);
    } catch (thrown) {
      if (toPatchbayError(thrown).code !== "nats_unreachable") throw thrown;
    }
  }
}

function expectOurs(run: ServedRun, { shard, planHash, environment }: RecordEnvelope): void {
  if (planHash !== run.file.plan_hash) {
    const message = `${basename(run.folder)}: the record of ${shard} belongs to plan ${planHash.slice(0, 8)}, expected ${run.file.plan_hash.slice(0, 8)}`;
    throw new PatchbayError("different_plan", message);
  }
  const expected = environmentFingerprint(run.environment);
  if (environment !== expected) {
    const message = `${basename(run.folder)}: the record of ${shard} was made in environment ${environment}, expected ${expected}`;
    throw new PatchbayError("different_environment", message);
  }
}

function factsOf(envelope: RecordEnvelope): RecordFacts {
  const { shard, sha256: hash, seconds, units } = envelope;
  return { shard, sha256: hash, seconds, units, reused: isTakenOver(envelope) };
}

/** The run as the state machine takes it. */
export function toRunToAdd({ id, plan, file, environment }: ServedRun, { recorded }: Replay): RunToAdd {
  return {
    id,
    name: file.name,
    planHash: file.plan_hash,
    allowPartial: file.allow_partial,
    environment,
    stages: plan.stages.map((stage, i) => ({
      id: stage.id,
      dependsOn: stage.dependsOn,
      shards: stage.shards.length,
      recorded: must(recorded[i], `records of ${stage.id}`),
    })),
  };
}
