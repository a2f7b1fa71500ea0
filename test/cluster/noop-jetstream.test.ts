/** @file The cluster with its results in NATS: the same records as with a folder, whatever dies, and all of them end up in the folder. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { readRunFile } from "../../src/run/run-folder.js";
import { artifactHashes, recordCount, until } from "./command.js";
import { startNatsServer, WITHOUT_NATS, type NatsServer } from "./nats-server.js";
import { makeNoopRun, NoopCluster, noopStage, recordHashes } from "./noop-cluster.js";

// The second stage's payloads need several frames each.
const STAGES = [
  noopStage("first", 8, { milliseconds: 300 }),
  noopStage("second", 3, { milliseconds: 50, bytes: 1_300_000 }, ["first"]),
];

let server: NatsServer;
let expected: { records: Record<string, string>; artifacts: Record<string, string> };
let cluster: NoopCluster | null = null;

async function open(stages = STAGES): Promise<NoopCluster> {
  cluster = new NoopCluster(await makeNoopRun(stages), {}, server.url);
  return cluster;
}

async function expectSameResults({ folder }: NoopCluster): Promise<void> {
  expect(readRunFile(folder)).toMatchObject({ status: "complete", counts: { done: 11 } });
  expect({ records: await recordHashes(folder), artifacts: artifactHashes(folder) }).toEqual(expected);
}

beforeAll(async () => {
  server = await startNatsServer();
  const inFolder = new NoopCluster(await makeNoopRun(STAGES));
  await inFolder.run(2);
  expected = { records: await recordHashes(inFolder.folder), artifacts: artifactHashes(inFolder.folder) };
  await inFolder.close();
});

afterEach(async () => {
  await cluster?.close();
  cluster = null;
});

afterAll(async () => {
  await server.stop();
});

test.skipIf(WITHOUT_NATS)("two workers give what they give with a folder", async () => {
  const made = await open();
  await made.run(2);
  await expectSameResults(made);
});

test.skipIf(WITHOUT_NATS)("a coordinator killed in the middle continues from NATS and the folder", async () => {
  const made = await open();
  const first = await made.startCoordinator();
  made.startWorker("w0");
  await until("two records", () => (recordCount(made.folder) >= 2 ? true : undefined));
  await made.midShard("w0");
  first.child.kill("SIGKILL");
  await first.ended;
  const second = await made.startCoordinator();
  await second.ended;
  expect(readRunFile(made.folder).counts.retries).toBe(0);
  await expectSameResults(made);
});

test.skipIf(WITHOUT_NATS)("a server that crashes and comes back costs nothing", async () => {
  const made = await open();
  const coordinator = await made.startCoordinator();
  made.startWorker("w0");
  await made.midShard("w0");
  await server.kill();
  const kept = recordCount(made.folder);
  await server.restart();
  await coordinator.ended;
  expect(kept).toBeLessThan(11);
  expect(readRunFile(made.folder).counts.retries).toBe(0);
  await expectSameResults(made);
});

test.skipIf(WITHOUT_NATS)(
  "a worker that cannot reach the log is cordoned with its reason, and costs no shard anything",
  async () => {
    const made = await open([noopStage("first", 60, { milliseconds: 500 })]);
    const coordinator = await made.startCoordinator();
    made.startWorker("good");
    await until("a first record", () => (recordCount(made.folder) >= 1 ? true : undefined));
    made.startWorkerWithoutLog("cut");
    const { stderr } = await coordinator.ended;
    expect(stderr).toMatch(/worker cut is cordoned: .*nats_unreachable/);
    expect(readRunFile(made.folder)).toMatchObject({
      status: "complete",
      counts: { done: 60, retries: 0, quarantined: 0 },
    });
  },
);

test.skipIf(WITHOUT_NATS)("everything but the folder lost: the run continues with what the folder holds", async () => {
  const made = await open();
  const first = await made.startCoordinator();
  const worker = made.startWorker("w0");
  await until("three records", () => (recordCount(made.folder) >= 3 ? true : undefined));
  await made.midShard("w0");
  first.child.kill("SIGKILL");
  worker.child.kill("SIGKILL");
  await Promise.all([first.ended, worker.ended]);
  await server.stop();
  server = await startNatsServer();
  const kept = recordCount(made.folder);
  const again = new NoopCluster(made.folder, {}, server.url);
  const run = await again.run(1);
  expect(kept).toBeGreaterThanOrEqual(3);
  expect(must(run.timings["first"], "timing").units).toBe(8);
  await expectSameResults(made);
  await again.close();
});
