/**
 * @file The submitted runs that an earlier coordinator left in a folder of runs. Nothing else is kept between coordinators: run.json
 * says that a run was submitted, when, and whether it has ended.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { ERROR_CODES, toPatchbayError } from "../base/errors.js";
import { holdsRun, readRunFile, type RunFile } from "../run/run-folder.js";
import { MAX_LISTED } from "../wire/limits.js";
import type { RunStatus } from "../wire/messages.js";
import { openServedRun, replay, runId, type Replay, type RunToServe, type ServedRun } from "./served-run.js";
import { ENDED_RUNS_KEPT } from "./runs.js";

/** Between two looks whether NATS is back. */
const PAUSE_MS = 1000;

/** A submitted run's folder, and its run.json. */
export interface EarlierRun {
  readonly folder: string;
  readonly file: RunFile;
}

/**
 * The submitted runs under a folder, in the order in which they were submitted: all that have not ended, and the latest of the
 * others. A folder that cannot be read is left out and said.
 */
export function findEarlierRuns(runsFolder: string, say: (text: string) => void): EarlierRun[] {
  const folders = existsSync(runsFolder) ? readdirSync(runsFolder).map((name) => join(runsFolder, name)) : [];
  const runs = folders.filter(holdsRun).flatMap((folder) => {
    try {
      const file = readRunFile(folder);
      return file.submitted === undefined ? [] : [{ folder, file, key: `${file.submitted} ${file.started}` }];
    } catch (thrown) {
      say(`${folder} is left alone: ${toPatchbayError(thrown).message}`);
      return [];
    }
  });
  const inOrder = runs.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ folder, file }) => ({ folder, file }));
  const ended = inOrder.filter((run) => !isUnfinished(run)).slice(-ENDED_RUNS_KEPT);
  return inOrder.filter((run) => isUnfinished(run) || ended.includes(run));
}

/** Whether the run has work left: it ran, waited or was interrupted when its coordinator went away, or its report is missing. */
export function isUnfinished({ file: { status, ended } }: EarlierRun): boolean {
  return status === "running" || (status === "complete" && ended === null);
}

/** A run that was opened again, with what its logs hold. */
export interface Reopened {
  readonly run: ServedRun;
  readonly replayed: Replay;
}

/**
 * Opens a run and replays its logs. A log server that is away is waited for, until `over` fires.
 * @throws PatchbayError what makes the run impossible to continue; `nats_unreachable` when `over` fires first.
 */
export async function reopen(
  toServe: RunToServe,
  over: readonly (AbortSignal | undefined)[],
  say: (text: string) => void,
): Promise<Reopened> {
  for (let said = false; ; said = true) {
    try {
      const run = await openServedRun(toServe);
      try {
        return { run, replayed: await replay(run) };
      } catch (thrown) {
        await run.close();
        throw thrown;
      }
    } catch (thrown) {
      const { code, message } = toPatchbayError(thrown);
      if (code !== "nats_unreachable" || over.some((signal) => signal?.aborted === true)) throw thrown;
      if (!said) say(`${toServe.folder} waits for its log: ${message}`);
      await wait(PAUSE_MS);
    }
  }
}

const CODES: ReadonlySet<string> = new Set(ERROR_CODES);

/** The status of a run that has ended, or that has a `problem` and cannot go on. Its stages are not listed. */
export function statusOfEarlier({ folder, file }: EarlierRun, problem?: string): RunStatus {
  const ended = file.ended ?? file.started;
  return {
    run: runId(file),
    name: file.name,
    planHash: file.plan_hash,
    folder,
    state: problem !== undefined || file.status === "running" ? "failed" : file.status,
    reason: problem ?? file.reason,
    stages: [],
    quarantined: file.quarantined.slice(0, MAX_LISTED).map(({ shard, code, message }) => ({
      shard,
      code: CODES.has(code) ? (code as (typeof ERROR_CODES)[number]) : "application",
      message,
      attempts: 0,
    })),
    warnings: file.warnings.slice(0, MAX_LISTED),
    seconds: Math.max(0, (Date.parse(ended) - Date.parse(file.started)) / 1000),
  };
}
