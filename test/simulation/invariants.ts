/** @file What holds after every step of the coordinator, whatever happened. */
import { placeOf } from "../../src/plan/stage-shards.js";
import { must } from "../../src/base/assert.js";
import type { CoordinatorEffect } from "../../src/coordinator/events.js";
import { explainShard } from "../../src/coordinator/explain.js";
import type { ShardMark } from "../../src/coordinator/shard-list.js";
import { failedAttempts } from "../../src/coordinator/shard.js";
import type { CoordinatorState, RunProgress, StageProgress } from "../../src/coordinator/state.js";
import { shardId } from "../../src/plan/stage-shards.js";

const FINAL = ["complete", "partial", "failed", "cancelled", "interrupted"];

/** @throws Error naming the first invariant that does not hold. */
export function checkInvariants(
  before: CoordinatorState,
  after: CoordinatorState,
  effects: readonly CoordinatorEffect[],
): void {
  for (const run of after.runs.values()) {
    run.stages.forEach(checkStage);
    checkOutcomesStay(before.runs.get(run.id), run);
    if (!FINAL.includes(run.state)) checkReasons(after, run);
  }
  checkLeases(after);
  checkGrants(before, effects);
}

function expectThat(condition: boolean, what: string): void {
  if (!condition) throw new Error(`invariant broken: ${what}`);
}

function checkStage(stage: StageProgress): void {
  const marks = ["pending", "leased", "reported", "done", "quarantined", "failed"] as const;
  const found = Object.fromEntries(marks.map((mark) => [mark, []])) as unknown as Record<ShardMark, number[]>;
  [...stage.shards].forEach((shard, index) => {
    found[shard.phase].push(index);
    if (shard.failure !== null) found.failed.push(index);
    expectThat(
      (shard.phase === "leased") === (shard.holder !== null),
      `${stage.id}.${String(index)}: holder while leased`,
    );
    expectThat(shard.phase !== "quarantined" || shard.failure !== null, "a quarantined shard has a reason");
  });
  const failures = [...stage.shards].reduce((sum, shard) => sum + failedAttempts(shard), 0);
  expectThat(stage.failures === failures, `failures of ${stage.id}`);
  for (const mark of marks) {
    const indexes = found[mark];
    const listed = [...stage.shards.indexesOf(mark)];
    expectThat(JSON.stringify(indexes) === JSON.stringify(listed), `${mark} shards of ${stage.id}`);
    expectThat(stage.shards.counts[mark] === indexes.length, `count of ${mark} shards of ${stage.id}`);
    if (mark !== "failed") expectThat(stage.counts[mark] === indexes.length, `counts of ${stage.id}`);
  }
}

/** A done shard stays done; a run that ended stays as it ended. */
function checkOutcomesStay(before: RunProgress | undefined, after: RunProgress): void {
  if (before === undefined) return;
  if (FINAL.includes(before.state)) expectThat(before.state === after.state, "a run that ended stays ended");
  before.stages.forEach((stage, s) => {
    [...stage.shards].forEach((shard, i) => {
      const now = must(after.stages[s], "stage").shards.at(i);
      if (shard.phase === "done") expectThat(now.phase === "done", "a done shard stays done");
    });
  });
}

function checkReasons(state: CoordinatorState, run: RunProgress): void {
  for (const { id: stage, shards } of run.stages) {
    for (const [index, { phase }] of [...shards].entries()) {
      if (phase !== "pending" && phase !== "quarantined") continue;
      const id = shardId(stage, index);
      expectThat((explainShard(state, run.id, id) ?? "").length > 10, `${id} has a reason`);
    }
  }
}

function checkLeases(state: CoordinatorState): void {
  const held = new Set<string>();
  for (const worker of state.workers.values()) {
    expectThat(worker.session !== null || worker.detachedAt !== null, "a worker without a stream has a time limit");
    for (const lease of worker.leases) {
      const run = must(state.runs.get(lease.run), lease.run);
      const shard = must(run.stages[lease.stage], lease.shardId).shards.at(lease.shard);
      expectThat(run.state === "running", `${lease.id} belongs to a running run`);
      expectThat(
        shard.holder?.lease === lease.id && shard.holder.worker === worker.name,
        `${lease.id} holds its shard`,
      );
      held.add(lease.id);
    }
  }
  for (const run of state.runs.values()) {
    for (const { holder } of run.stages.flatMap(({ shards }) => [...shards])) {
      if (run.state === "running" && holder !== null)
        expectThat(held.has(holder.lease), `${holder.lease} is held by somebody`);
    }
  }
}

function checkGrants(before: CoordinatorState, effects: readonly CoordinatorEffect[]): void {
  const granted = new Set<string>();
  for (const effect of effects) {
    if (effect.kind !== "grant") continue;
    const run = before.runs.get(effect.lease.run);
    const place = run === undefined ? undefined : placeOf(run, effect.lease.shard);
    const phase = place === undefined ? undefined : run?.stages[place.stage]?.shards.at(place.shard).phase;
    expectThat(
      phase !== "done" && phase !== "quarantined",
      `${effect.lease.shard} is leased although it is ${String(phase)}`,
    );
    expectThat(!granted.has(effect.lease.shard), `${effect.lease.shard} is leased twice at once`);
    granted.add(effect.lease.shard);
  }
}
