/** @file What people do to a running cluster: cancel, drain, look, start things twice or wrongly. */
import { spawn } from "node:child_process";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { PatchbayError } from "../../src/base/errors.js";
import { sha256 } from "../../src/base/hash.js";
import { readRunFile, runPaths } from "../../src/run/run-folder.js";
import type { RunStatus } from "../../src/wire/messages.js";
import { isAlive, patchbay, recordCount, until } from "./command.js";
import { makeNoopRun, NoopCluster, noopStage, workerFolders } from "./noop-cluster.js";
import { shardId } from "../../src/plan/stage-shards.js";

/** A shard that takes several heartbeats, so that one of them tells that it is in its middle, on a machine at work too. */
const LONG_SHARD = { milliseconds: 800 };
/** A run that no test waits for the end of: on a machine at work, a process may take many seconds to start. */
const SLOW = [noopStage("first", 400, LONG_SHARD)];

let cluster: NoopCluster | null = null;

async function start(stages = SLOW, workers = 1, settings = {}): Promise<NoopCluster> {
  cluster = new NoopCluster(await makeNoopRun(stages), settings);
  await cluster.startCoordinator();
  for (let i = 0; i < workers; i++) cluster.startWorker(`w${String(i)}`);
  return cluster;
}

afterEach(async () => {
  await cluster?.close();
  cluster = null;
});

async function statusWhere(made: NoopCluster, ready: (status: Awaited<ReturnType<NoopCluster["status"]>>) => boolean) {
  for (;;) {
    const status = await made.status();
    if (ready(status)) return status;
  }
}

test("a cancelled run stops in the middle of a shard, and its processes end", async () => {
  const made = await start();
  await made.midShard("w0");
  const run = must((await made.status()).runs[0], "run").run;
  expect(await made.client().cancel(run)).toEqual({ state: "cancelled" });
  const [coordinator, worker] = await Promise.all(made.roles.map(({ ended }) => ended));
  expect(worker?.code).toBe(0);
  expect(coordinator?.signal).toBeNull();
  expect(readRunFile(made.folder).status).toBe("cancelled");
  expect(recordCount(made.folder)).toBeLessThan(400);
});

test("a worker told to leave finishes its shard, gives the next one back, and costs nothing", async () => {
  const made = await start([noopStage("first", 10, LONG_SHARD)]);
  const shard = await made.midShard("w0");
  const leaving = must(made.roles[1], "worker");
  leaving.child.kill("SIGTERM");
  expect((await leaving.ended).code).toBe(0);
  const { workers, runs } = await made.status();
  expect(workers).toEqual([]);
  expect(must(runs[0], "run").state).toBe("running");
  made.startWorker("w1");
  await must(made.roles[0], "coordinator").ended;
  const run = readRunFile(made.folder);
  expect(run).toMatchObject({ status: "complete", counts: { done: 10, retries: 0 } });
  expect(shard).toMatch(/^first\./);
});

test("a coordinator told to stop finishes what is in flight; started again, it continues", async () => {
  const made = await start([noopStage("first", 10, LONG_SHARD)]);
  await made.midShard("w0");
  const first = must(made.roles[0], "coordinator");
  first.child.kill("SIGTERM");
  await first.ended;
  const before = readRunFile(made.folder);
  expect(before).toMatchObject({ status: "running", counts: { retries: 0 } });
  expect(before.reason).toContain("interrupted");
  expect(before.counts.done).toBe(recordCount(made.folder));
  const second = await made.startCoordinator();
  made.startWorker("w1");
  await second.ended;
  expect(readRunFile(made.folder)).toMatchObject({ status: "complete", counts: { done: 10, retries: 0 } });
});

test("a port that is taken is named, and nothing is started", async () => {
  const made = await start();
  const other = new NoopCluster(await makeNoopRun(SLOW));
  other.port = made.port;
  const { code, stderr } = await (await other.startCoordinator()).ended;
  expect(code).toBe(2);
  expect(stderr).toContain(`port_in_use: port ${String(made.port)} on 127.0.0.1 is in use`);
  await other.close();
});

test("a worker of another environment is left out, and the status says why", async () => {
  const made = await start(SLOW, 0);
  made.startWorker("other", "--backend", "torch");
  const status = await statusWhere(made, ({ workers }) => workers.length === 1);
  expect(status.workers[0]).toMatchObject({ worker: "other", state: "refused" });
  expect(status.workers[0]?.reason).toContain("backend: expected wasm, got torch");
  expect(status.runs[0]?.stages[0]?.reasons).toEqual([
    { shards: 400, reason: expect.stringMatching(/0 of 1 workers can serve the run \(other: .*backend/) as string },
  ]);
});

test("a second worker under a name that is taken is kept out as long as the first is there", async () => {
  const made = await start();
  await made.midShard("w0");
  const twin = made.startWorker("w0");
  await until("the refusal", () => (twin.said().includes("another worker named w0 is attached") ? true : undefined));
  await made.midShard("w0");
  twin.child.kill("SIGTERM");
  await twin.ended;
  expect(twin.engines).toEqual([]);
});

test("two attempts that disagree are reported, and the first record stays", async () => {
  const faults = [{ shard: shardId("first", 0), kind: "other_bytes" as const, attempts: 1 }];
  const stages = [
    noopStage("first", 2, { milliseconds: 1000, faults }),
    noopStage("later", 60, { milliseconds: 100 }, ["first"]),
  ];
  const made = await start(stages, 1, { workerTimeoutMs: 3000 });
  expect(await made.midShard("w0")).toBe("first.00000");
  const frozen = must(made.roles[1], "worker").child;
  frozen.kill("SIGSTOP"); // Its engine finishes the attempt; the report is late.
  made.startWorker("w1");
  await statusWhere(made, ({ runs }) => runs[0]?.stages[0]?.state === "reduced");
  frozen.kill("SIGCONT");
  const status = await statusWhere(made, ({ runs }) => (runs[0]?.warnings.length ?? 0) > 0);
  expect(status.runs[0]?.warnings[0]).toMatch(/first\.00000: two attempts gave different bytes/);
  await must(made.roles[0], "coordinator").ended;
  const run = readRunFile(made.folder);
  expect(run.status).toBe("complete");
  expect(run.warnings).toHaveLength(1);
});

test("a watcher sees a run to its end, and can fetch what it made", async () => {
  const made = await start([
    noopStage("first", 8, { milliseconds: 50 }),
    noopStage("second", 40, { milliseconds: 100 }, ["first"]),
  ]);
  const client = made.client();
  const run = must((await made.status()).runs[0], "run").run;
  await statusWhere(made, ({ runs }) => runs[0]?.stages[0]?.state === "reduced");
  const chunks: Uint8Array[] = [];
  let announced = "";
  for await (const part of client.fetchArtifact(run, "first.bin")) {
    if (part.kind === "header") announced = part.sha256;
    else chunks.push(part.chunk);
  }
  expect(sha256(Buffer.concat(chunks))).toBe(announced);
  await expect(client.fetchArtifact(run, "none.bin")[Symbol.asyncIterator]().next()).rejects.toThrow(
    /no artifact none\.bin/,
  );
  const seen: RunStatus[] = [];
  for await (const status of client.watch(run)) seen.push(status);
  expect(seen.at(-1)).toMatchObject({ run, state: "complete" });
});

test("a run is called what its folder is, the beginning of the name is enough, and watch ends with the report", async () => {
  const made = await start([noopStage("first", 60, { milliseconds: 100 })], 0);
  const name = basename(made.folder);
  const at = ["--coordinator", `127.0.0.1:${String(made.port)}`];
  const status = await patchbay(["status", name.slice(0, -1), ...at]);
  expect(status.stdout).toContain(`run ${name} (`);
  made.startWorker("w0");
  const watched = await patchbay(["watch", name.slice(0, -1), ...at]);
  expect(watched).toMatchObject({ code: 0, stderr: "" });
  expect(watched.stdout.trimEnd().split("\n").slice(-2)).toEqual([
    expect.stringMatching(/^complete/),
    `report: ${runPaths(made.folder).report}`,
  ]);
});

test("a coordinator of one run refuses unknown runs and submitted sweeps with a reason", async () => {
  const made = await start();
  const refused = made
    .client()
    .submit({ sweep: "name: x", baseFolder: "/", allowPartial: false, file: "", files: [], fresh: false });
  await expect(refused).rejects.toMatchObject({
    code: "bad_input",
    message: expect.stringContaining("one run") as string,
  });
  await expect(made.client().cancel("nothing")).rejects.toThrow(PatchbayError);
});

test("a role and its engine end when the process that started them is killed", async () => {
  const made = await start();
  const command = fileURLToPath(new URL("../../bin/patchbay.js", import.meta.url));
  const script = fileURLToPath(new URL("./noop-parent.js", import.meta.url));
  const address = `127.0.0.1:${String(made.port)}`;
  const args = [script, command, "worker", "--coordinator", address, "--name", "orphan"];
  const parent = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  parent.stdout.on("data", (bytes: Buffer) => (printed += bytes.toString()));
  await made.midShard("orphan");
  const pids = printed.trim().split("\n").map(Number);
  expect(pids).toHaveLength(2);
  parent.kill("SIGKILL");
  await until("the orphans' end", () => (pids.some(isAlive) ? undefined : true));
});

test("a worker leaves no file behind", async () => {
  const made = await start([noopStage("first", 10, LONG_SHARD), noopStage("second", 4, {}, ["first"])]);
  const worker = must(made.roles[1], "worker");
  await made.midShard("w0");
  expect(workerFolders(worker)).toHaveLength(1);
  await worker.ended;
  expect(workerFolders(worker)).toEqual([]);
});
