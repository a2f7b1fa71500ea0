/**
 * @file How stages and runs move on.
 *
 * 1. A stage opens when every stage it depends on is reduced; it is blocked when one of them is blocked or failed.
 * 2. An open stage whose shards are all settled is reduced; with quarantined shards it is blocked, unless partial results are
 *    allowed and there is at least one.
 * 3. A run ends when no stage can move any more; then the next one starts.
 */
import { must } from "../base/assert.js";
import { shardId } from "../plan/stage-shards.js";
import type { RunState, StageState } from "../wire/messages.js";
import { activeRun, type RunProgress, type StageProgress } from "./state.js";
import { patchRun, patchStage, patchWorker, type Turn } from "./turn.js";

/** Applies the rules above until nothing changes. */
export function advance(turn: Turn): void {
  startNext(turn);
  for (let run = activeRun(turn.state); run !== undefined; run = activeRun(turn.state)) {
    while (advanceOneStage(turn, run)) run = must(turn.state.runs.get(run.id), `run ${run.id}`);
    if (run.stages.some(({ state }) => state === "waiting" || state === "open" || state === "reducing")) {
      if (turn.state.draining && isQuiet(run))
        finishRun(turn, run.id, "interrupted", "the coordinator was asked to stop");
      return;
    }
    const [state, reason] = verdict(run);
    finishRun(turn, run.id, state, reason);
    startNext(turn);
  }
}

/** Ends a run: its leases are revoked, and it is never leased again. */
export function finishRun(turn: Turn, id: string, state: RunState, reason: string): void {
  for (const worker of turn.state.workers.values()) {
    for (const lease of worker.leases.filter(({ run }) => run === id)) {
      if (worker.session === null) continue;
      turn.effects.push({
        kind: "revoke",
        session: worker.session,
        lease: lease.id,
        stop: true,
        reason: `the run is ${state}`,
      });
    }
    patchWorker(turn, worker.name, { leases: worker.leases.filter(({ run }) => run !== id) });
  }
  patchRun(turn, id, { state, reason });
  turn.effects.push({ kind: "finished", run: id, state });
}

function startNext(turn: Turn): void {
  if (activeRun(turn.state) !== undefined || turn.state.draining) return;
  for (const run of turn.state.runs.values()) {
    if (run.state !== "queued") continue;
    patchRun(turn, run.id, { state: "running" });
    turn.effects.push({ kind: "started", run: run.id });
    return;
  }
}

function advanceOneStage(turn: Turn, run: RunProgress): boolean {
  for (const [index, stage] of run.stages.entries()) {
    const next = nextState(run, stage);
    if (next === null || (next.state === stage.state && next.reason === stage.reason)) continue;
    patchStage(turn, run.id, index, next);
    if (next.state === "reducing") {
      turn.effects.push({ kind: "reduce", run: run.id, stage: stage.id, missing: quarantinedIds(stage) });
    }
    return true;
  }
  return false;
}

/** Where a stage stands now; null when only an event can move it. */
function nextState(run: RunProgress, stage: StageProgress): { state: StageState; reason: string } | null {
  if (stage.state === "reducing" || stage.state === "reduced" || stage.state === "failed") return null;
  const before = stage.dependsOn.map((id) =>
    must(
      run.stages.find((other) => other.id === id),
      `stage ${id}`,
    ),
  );
  const stuck = before.filter(({ state }) => state === "blocked" || state === "failed");
  if (stuck.length > 0)
    return { state: "blocked", reason: stuck.map(({ id, state }) => `stage ${id} is ${state}`).join("; ") };
  const unready = before.filter(({ state }) => state !== "reduced");
  if (unready.length > 0) return { state: "waiting", reason: `waiting for ${unready.map(({ id }) => id).join(", ")}` };
  return stateOfReady(run, stage);
}

function stateOfReady(run: RunProgress, { counts, shards }: StageProgress): { state: StageState; reason: string } {
  const settled = counts.done + counts.quarantined;
  if (settled < shards.length) return { state: "open", reason: "" };
  const lost = `${counts.quarantined} of ${shards.length} shards are quarantined`;
  if (counts.quarantined > 0 && counts.done === 0) return { state: "blocked", reason: lost };
  if (counts.quarantined > 0 && !run.allowPartial) return { state: "blocked", reason: lost };
  return { state: "reducing", reason: counts.quarantined > 0 ? `without all results: ${lost}` : "" };
}

function quarantinedIds({ id, shards }: StageProgress): string[] {
  return [...shards.indexesOf("quarantined")].map((index) => shardId(id, index));
}

function isQuiet({ stages }: RunProgress): boolean {
  return stages.every(({ state, counts }) => state !== "reducing" && counts.leased === 0 && counts.reported === 0);
}

function verdict({ stages }: RunProgress): [RunState, string] {
  const failed = stages.filter(({ state }) => state === "failed");
  if (failed.length > 0) return ["failed", failed.map(({ id, reason }) => `stage ${id}: ${reason}`).join("; ")];
  const quarantined = stages.reduce((sum, { counts }) => sum + counts.quarantined, 0);
  if (quarantined === 0) return ["complete", ""];
  const shards = stages.reduce((sum, { counts }) => sum + counts.done, 0);
  const reason = `${quarantined} shards are quarantined`;
  return shards === 0 ? ["failed", `${reason} and none is done`] : ["partial", reason];
}
