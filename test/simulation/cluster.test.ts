/** @file The cluster's promises under faults, over many seeds. A failure names its seed. */
import { placeOf } from "../../src/plan/stage-shards.js";
import { expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { createRng } from "../../src/base/rng.js";
import type { RunToAdd } from "../../src/coordinator/events.js";
import { explainShard } from "../../src/coordinator/explain.js";
import { NO_FAULTS, type Faults } from "./faults.js";
import { World, type Outcome } from "./world.js";
import { RecordedShards } from "../../src/coordinator/recorded-shards.js";

import { shardId } from "../../src/plan/stage-shards.js";

const HOUR = 3600 * 1000;

function makeRun(id: string, allowPartial = false): RunToAdd {
  const stage = (name: string, shards: number, ...dependsOn: string[]) => ({
    id: name,
    dependsOn,
    shards,
    recorded: new RecordedShards(shards),
  });
  const stages = [
    stage("means", 4),
    stage("scores", 8),
    stage("truth", 10, "scores"),
    stage("circuits", 5, "scores", "means"),
    stage("report", 0, "truth", "circuits"),
  ];
  return { id, name: id, planHash: "h", allowPartial, environment: {}, stages };
}

function allShards(run: RunToAdd): string[] {
  return run.stages.flatMap(({ id, shards }) => Array.from({ length: shards }, (_, i) => shardId(id, i)));
}

function roughFaults(seed: number): Faults {
  const rng = createRng(seed, "faults");
  const upTo = (limit: number): number => (rng.uniform() < 0.4 ? 0 : rng.uniform() * limit);
  return {
    drop: upTo(0.08),
    duplicate: upTo(0.1),
    longDelay: upTo(0.05),
    disconnect: upTo(0.03),
    workerCrash: upTo(0.02),
    engineDeath: upTo(0.05),
    damagedRecord: upTo(0.03),
    coordinatorCrashes: rng.int(4),
    poisoned: rng.uniform() < 0.3 ? new Set([`truth.0000${String(rng.int(10))}`]) : new Set(),
    unstableResults: rng.uniform() < 0.1,
  };
}

function forSeeds(count: number, check: (seed: number) => void): void {
  for (let seed = 0; seed < count; seed++) {
    try {
      check(seed);
    } catch (cause) {
      throw new Error(
        `seed ${String(seed)}: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`,
        {
          cause,
        },
      );
    }
  }
}

function expectEverythingAccounted(run: RunToAdd, { states, final, log }: Outcome): void {
  const state = must(states.get(run.id), run.id);
  const progress = must(final.runs.get(run.id), run.id);
  const open = allShards(run).filter((shard) => {
    const { stage, shard: index } = must(placeOf(progress, shard), shard);
    const { phase } = must(progress.stages[stage], shard).shards.at(index);
    if (phase === "done") expect(log.has(`${run.id}/${shard}`)).toBe(true);
    else expect(explainShard(final, run.id, shard)).toMatch(/quarantined after|not run/);
    return phase !== "done";
  });
  expect(state === "complete").toBe(open.length === 0);
}

test("every shard is done once or has a reason, and the run ends, whatever the network and the processes do", () => {
  forSeeds(400, (seed) => {
    const runs = [makeRun("r1", seed % 2 === 0)];
    const world = new World(seed, runs, ["a", "b", "c"].slice(0, 1 + (seed % 3)), roughFaults(seed));
    expectEverythingAccounted(must(runs[0], "run"), world.finish(HOUR));
  });
});

test("without faults every shard is leased exactly once", () => {
  forSeeds(30, (seed) => {
    const runs = [makeRun("r1"), makeRun("r2")];
    const outcome = new World(seed, runs, ["a", "b"], NO_FAULTS).finish(HOUR);
    expect([...outcome.states.values()]).toEqual(["complete", "complete"]);
    // A recalled lease is granted again.
    const recalled = outcome.grants - 2 * allShards(makeRun("r1")).length;
    expect(recalled).toBeLessThanOrEqual(8);
  });
});

test("lost messages, broken streams and a dying coordinator alone never cost a shard", () => {
  forSeeds(100, (seed) => {
    const faults = { ...NO_FAULTS, drop: 0.03, duplicate: 0.05, disconnect: 0.01, coordinatorCrashes: 3 };
    const outcome = new World(seed, [makeRun("r1")], ["a", "b"], faults).finish(HOUR);
    expect(outcome.states.get("r1")).toBe("complete");
    expect(outcome.warnings).toEqual([]);
  });
});

test("a poisoned shard ends in quarantine, and blocks what depends on it unless partial results are allowed", () => {
  forSeeds(20, (seed) => {
    const allowPartial = seed % 2 === 0;
    const faults = { ...NO_FAULTS, poisoned: new Set(["scores.00003"]) };
    const { states, final, grants } = new World(seed, [makeRun("r1", allowPartial)], ["a", "b"], faults).finish(HOUR);
    expect(states.get("r1")).toBe("partial");
    expect(grants).toBeLessThan(2 * allShards(makeRun("r1")).length);
    const stages = must(final.runs.get("r1"), "run").stages;
    expect(stages.map(({ state }) => state)).toEqual(
      allowPartial
        ? ["reduced", "reduced", "reduced", "reduced", "reduced"]
        : ["reduced", "blocked", "blocked", "blocked", "blocked"],
    );
    expect(must(stages[1], "stage").shards.at(3).spent).toEqual({ lost: 0, memory: 0, application: 2 });
  });
});

test("attempts that disagree leave a warning, and the first record stays", () => {
  let warned = 0;
  forSeeds(40, (seed) => {
    const faults = { ...NO_FAULTS, disconnect: 0.05, workerCrash: 0.03, longDelay: 0.05, unstableResults: true };
    const outcome = new World(seed, [makeRun("r1")], ["a", "b", "c"], faults).finish(HOUR);
    if (outcome.warnings.length > 0) warned++;
    expect(must(outcome.final.runs.get("r1"), "run").warnings.length > 0).toBe(outcome.warnings.length > 0);
  });
  expect(warned).toBeGreaterThan(0);
});

test("a cancelled run gets no lease any more, and its workers are free for the next one", () => {
  forSeeds(40, (seed) => {
    const world = new World(seed, [makeRun("r1"), makeRun("r2")], ["a", "b"], { ...NO_FAULTS, drop: 0.02 });
    world.at(200 + 20 * seed, () => {
      world.tell({ kind: "cancel", run: "r1" });
    });
    const { states } = world.finish(HOUR);
    expect(states.get("r1")).toBe("cancelled");
    expect(states.get("r2")).toBe("complete");
    world.settle(60_000);
    expect([...world.workers.values()].map(({ machine }) => machine?.held.length)).toEqual([0, 0]);
  });
});

test("a draining worker leaves without costing a shard", () => {
  forSeeds(40, (seed) => {
    const world = new World(seed, [makeRun("r1")], ["a", "b"], NO_FAULTS);
    world.at(100 + 20 * seed, () => {
      world.tellWorker("a", { kind: "drain" });
    });
    const { states, final } = world.finish(HOUR);
    expect(states.get("r1")).toBe("complete");
    const spent = must(final.runs.get("r1"), "run").stages.flatMap(({ shards }) =>
      [...shards].map((shard) => shard.spent.lost),
    );
    expect(Math.max(...spent)).toBe(0);
  });
});

test("a draining coordinator ends its run as interrupted once nothing is in flight", () => {
  forSeeds(20, (seed) => {
    const world = new World(seed, [makeRun("r1")], ["a", "b"], NO_FAULTS);
    world.at(300, () => {
      world.tell({ kind: "drain", now: false });
    });
    const { states, final } = world.finish(HOUR);
    expect(states.get("r1")).toBe("interrupted");
    const { stages } = must(final.runs.get("r1"), "run");
    expect(stages.reduce((sum, { counts }) => sum + counts.leased + counts.reported, 0)).toBe(0);
  });
});
