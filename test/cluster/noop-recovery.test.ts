/** @file The cluster as processes: whatever dies, the run ends with the same records, and nothing is left behind. */
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeAll, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { readRunFile } from "../../src/run/run-folder.js";
import { artifactHashes, isAlive, recordCount, until } from "./command.js";
import { makeNoopRun, missingIn, NoopCluster, noopStage, recordHashes } from "./noop-cluster.js";
import { shardId } from "../../src/plan/stage-shards.js";

const STAGES = [noopStage("first", 8, { milliseconds: 400 }), noopStage("second", 6, { milliseconds: 50 }, ["first"])];

interface Results {
  readonly records: Record<string, string>;
  readonly artifacts: Record<string, string>;
}

let expected: Results;
let cluster: NoopCluster | null = null;

async function open(...args: ConstructorParameters<typeof NoopCluster>): Promise<NoopCluster> {
  cluster = new NoopCluster(...args);
  return Promise.resolve(cluster);
}

async function resultsOf(folder: string): Promise<Results> {
  return { records: await recordHashes(folder), artifacts: artifactHashes(folder) };
}

async function expectSameResults(folder: string): Promise<void> {
  expect(readRunFile(folder).status).toBe("complete");
  expect(await resultsOf(folder)).toEqual(expected);
}

beforeAll(async () => {
  const one = new NoopCluster(await makeNoopRun(STAGES));
  await one.run(1);
  expect(readRunFile(one.folder)).toMatchObject({ status: "complete", counts: { done: 14, retries: 0, workers: 1 } });
  expected = await resultsOf(one.folder);
  await one.close();
});

afterEach(async () => {
  await cluster?.close();
  cluster = null;
});

test.each([2, 3])("%i workers give the records and artifacts of one", async (workers) => {
  const { folder, run } = bound(await open(await makeNoopRun(STAGES)));
  await run(workers);
  await expectSameResults(folder);
  expect(Object.keys(expected.artifacts)).toEqual(["first.bin", "second.bin"]);
});

function bound(made: NoopCluster) {
  return { folder: made.folder, run: (workers: number) => made.run(workers) };
}

test("an engine killed in the middle of a shard costs one retry", async () => {
  const made = await open(await makeNoopRun(STAGES));
  const coordinator = await made.startCoordinator();
  const worker = made.startWorker("w0");
  const shard = await made.midShard("w0");
  process.kill(must(worker.engines.at(-1), "engine"), "SIGKILL");
  const { stderr } = await coordinator.ended;
  expect(stderr).toContain(`${shard} failed on w0 and will be retried: engine_died`);
  expect(readRunFile(made.folder).counts.retries).toBe(1);
  expect(worker.engines.length).toBe(2);
  await expectSameResults(made.folder);
});

test("a worker killed in the middle of a shard takes its engine along, and its shards go to another", async () => {
  const made = await open(await makeNoopRun(STAGES));
  const coordinator = await made.startCoordinator();
  const victim = made.startWorker("w0");
  const shard = await made.midShard("w0");
  made.startWorker("w1");
  victim.child.kill("SIGKILL");
  const engine = must(victim.engines.at(-1), "engine");
  await until("the engine's end", () => (isAlive(engine) ? undefined : true));
  const { stderr } = await coordinator.ended;
  expect(stderr).toContain(`${shard} failed on w0 and will be retried: worker_lost`);
  expect(readRunFile(made.folder).counts.retries).toBeGreaterThanOrEqual(1);
  await expectSameResults(made.folder);
});

test("a coordinator killed in the middle of a shard continues from the log, and the shard in flight is kept", async () => {
  const made = await open(await makeNoopRun(STAGES));
  const first = await made.startCoordinator();
  const worker = made.startWorker("w0");
  await until("three records", () => (recordCount(made.folder) >= 3 ? true : undefined));
  const shard = await made.midShard("w0");
  first.child.kill("SIGKILL");
  const before = recordCount(made.folder);
  // The engine goes on without a coordinator.
  await until(`the record of ${shard}`, () => (recordCount(made.folder) > before ? true : undefined));
  const second = await made.startCoordinator();
  await second.ended;
  expect(worker.engines.length).toBe(1);
  expect(readRunFile(made.folder).counts.retries).toBe(0);
  await expectSameResults(made.folder);
});

test("everything killed at once continues later", async () => {
  const made = await open(await makeNoopRun(STAGES));
  const first = await made.startCoordinator();
  const worker = made.startWorker("w0");
  await made.midShard("w0");
  first.child.kill("SIGKILL");
  worker.child.kill("SIGKILL");
  await Promise.all([first.ended, worker.ended]);
  const kept = recordCount(made.folder);
  const second = await made.startCoordinator();
  made.startWorker("w0");
  await second.ended;
  expect(kept).toBeLessThan(14);
  await expectSameResults(made.folder);
});

test("an engine that hangs is killed, and its shard is retried", async () => {
  const faults = [{ shard: shardId("first", 2), kind: "hang" as const, attempts: 1 }];
  const made = await open(await makeNoopRun([noopStage("first", 4, { faults })]));
  const coordinator = await made.startCoordinator();
  made.startWorker("w0", "--engine-stall-seconds", "1");
  const { stderr } = await coordinator.ended;
  expect(stderr).toContain("first.00002 failed on w0 and will be retried: engine_stalled");
  expect(readRunFile(made.folder)).toMatchObject({ status: "complete", counts: { done: 4, retries: 1 } });
});

test("a shard that fails on every worker is quarantined with its cause, and what depends on it does not run", async () => {
  const faults = [
    { shard: shardId("first", 1), kind: "non_finite" as const, attempts: 99 },
    { shard: shardId("first", 2), kind: "exit" as const, attempts: 1 },
    { shard: shardId("first", 3), kind: "out_of_memory" as const, attempts: 1 },
  ];
  const stages = [noopStage("first", 6, { faults }), noopStage("second", 2, {}, ["first"]), noopStage("other", 2)];
  const made = await open(await makeNoopRun(stages));
  const run = await made.run(2);
  expect(run.status).toBe("partial");
  expect(run.counts).toMatchObject({ done: 7, quarantined: 1 });
  expect(run.quarantined).toHaveLength(1);
  expect(run.quarantined[0]).toMatchObject({ shard: "first.00001", code: "non_finite" });
  expect(run.quarantined[0]?.message).toMatch(/the plan asks for this failure.*on worker w[01]/);
  expect(Object.keys(artifactHashes(made.folder))).toEqual(["other.bin"]);
});

test("with partial results allowed the stages go on, and are told what is missing", async () => {
  const faults = [{ shard: shardId("first", 1), kind: "application" as const, attempts: 99 }];
  const stages = [noopStage("first", 4, { faults }), noopStage("second", 2, {}, ["first"])];
  const made = await open(await makeNoopRun(stages, true));
  expect((await made.run(1)).status).toBe("partial");
  expect(missingIn(made.folder, "first")).toBe("missing first.00001");
  expect(missingIn(made.folder, "second")).toBe("missing ");
});

test("a quarantined shard is tried again when the run is started again", async () => {
  const faults = [{ shard: shardId("first", 1), kind: "exit" as const, attempts: 4 }];
  const made = await open(await makeNoopRun([noopStage("first", 3, { faults })]));
  expect((await made.run(1)).status).toBe("partial");
  // Attempts count from one again, so the fault comes back: only the finished shards stay finished.
  const again = await made.run(1);
  expect(again.counts).toMatchObject({ done: 2, quarantined: 1 });
  expect(again.quarantined[0]?.message).toContain("exit code 7");
});

test("a worker whose engines die at start is cordoned with its reason, and costs no shard anything", async () => {
  const made = await open(await makeNoopRun(STAGES));
  const coordinator = await made.startCoordinator();
  const bad = made.startWorkerOfDyingEngines("bad");
  await until("a first death", () => (bad.said().includes("engine_start_failed") ? true : undefined));
  made.startWorker("good");
  const { stderr } = await coordinator.ended;
  expect(stderr).toMatch(/worker bad is cordoned: .*engine_start_failed: before it had any shard.*made to die/);
  expect(readRunFile(made.folder)).toMatchObject({ counts: { done: 14, quarantined: 0 } });
  await expectSameResults(made.folder);
});

test("a coordinator that stands still for longer than its patience charges nobody for that", async () => {
  const made = await open(await makeNoopRun(STAGES), { workerTimeoutMs: 1500, leaseMs: 1500 });
  const coordinator = await made.startCoordinator();
  made.startWorker("w0");
  made.startWorker("w1");
  await made.midShard("w0");
  coordinator.child.kill("SIGSTOP");
  await setTimeout(4000); // The fault itself: no test of speed.
  coordinator.child.kill("SIGCONT");
  const { stderr } = await coordinator.ended;
  expect(stderr).toMatch(/stood still for [34]\d* s|stood still for [34]\.\d s/);
  expect(stderr).not.toMatch(/is gone|will be retried/);
  expect(readRunFile(made.folder).counts.retries).toBe(0);
  await expectSameResults(made.folder);
});
