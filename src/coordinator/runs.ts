/** @file Runs as they enter the state machine: the plan's stages, with what the log already holds. */
import { must } from "../base/assert.js";
import { isFinal } from "../wire/messages.js";
import type { RecordFacts, RunToAdd, StageToRun } from "./events.js";
import { ShardList } from "./shard-list.js";
import { addUnits } from "./recorded-shards.js";
import { FRESH, type ShardState } from "./shard.js";
import type { StageProgress } from "./state.js";
import { patchRun, patchStage, putRun, removeRun, type Turn } from "./turn.js";

/** Ended runs that clients can still ask about. */
export const ENDED_RUNS_KEPT = 100;

const RECORDED: ShardState = { ...FRESH, phase: "done" };

/** Queues a run. One that is queued or running already is left alone; one that has ended starts again. */
export function addRun(turn: Turn, run: RunToAdd): void {
  const before = turn.state.runs.get(run.id)?.state;
  if (before === "queued" || before === "running") return;
  removeRun(turn, run.id);
  forgetOldRuns(turn);
  putRun(turn, {
    id: run.id,
    name: run.name,
    planHash: run.planHash,
    allowPartial: run.allowPartial,
    state: "queued",
    reason: "",
    environment: run.environment,
    stages: run.stages.map(startStage),
    warnings: [],
    addedAt: turn.now,
  });
}

/** Ended runs are kept for a while, so that clients can ask about them. */
function forgetOldRuns(turn: Turn): void {
  const ended = [...turn.state.runs.values()].filter(({ state }) => isFinal(state));
  for (const { id } of ended.slice(0, Math.max(0, ended.length - ENDED_RUNS_KEPT))) removeRun(turn, id);
}

function startStage({ id, dependsOn, shards: length, recorded }: StageToRun): StageProgress {
  const shards = ShardList.of(length, (index) => (recorded.has(index) ? RECORDED : FRESH));
  return {
    id,
    dependsOn,
    state: "waiting",
    reason: "",
    shards,
    counts: shards.counts,
    cursor: 0,
    failures: 0,
    ...recorded.all,
    reused: recorded.reused,
    freshUnits: {},
    firstLeaseAt: null,
    lastDoneAt: null,
  };
}

/** Adds a finished shard's work to its stage. */
export function countRecord(turn: Turn, runId: string, index: number, record: RecordFacts): void {
  const stage = must(turn.state.runs.get(runId)?.stages[index], `stage ${index} of ${runId}`);
  patchStage(turn, runId, index, {
    engineSeconds: stage.engineSeconds + record.seconds,
    units: addUnits(stage.units, record.units),
    freshUnits: addUnits(stage.freshUnits, record.units),
    lastDoneAt: turn.now,
  });
}

/** Keeps a sentence for the run's status and run.json; the same sentence is kept once. */
export function warn(turn: Turn, runId: string, text: string): void {
  const run = must(turn.state.runs.get(runId), `run ${runId}`);
  if (!run.warnings.includes(text)) patchRun(turn, runId, { warnings: [...run.warnings, text] });
}
