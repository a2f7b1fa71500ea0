/** @file A standing coordinator: sweeps are submitted to it, planned for its workers, queued and run one after the other. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { readRunFile, writeRunFile } from "../../src/run/run-folder.js";
import { connectCluster, type ClusterClient } from "../../src/wire/cluster-client.js";
import type { RunStatus, SubmitRequest } from "../../src/wire/messages.js";
import { artifactHashes, until } from "./command.js";

const COMMAND = fileURLToPath(new URL("../../bin/patchbay.js", import.meta.url));
const WORLD = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));

const SWEEP = `
name: submitted
model: { path: model }
dataset: { path: data/pairs.jsonl, limit: 4 }
scores: [{ name: atp, method: atp }]
`;

/** A sweep that takes some seconds: it is still on when something happens to it. */
const LONG_SWEEP = SWEEP.replace(
  /scores: .*/,
  `scores: [${[30, 31, 32].map((steps) => `{ name: ig${String(steps)}, method: ig, steps: ${String(steps)} }`).join(", ")}]`,
);

let folder: string;
let children: ChildProcess[];
let port: number;
let client: ClusterClient;

function start(...args: string[]): ChildProcess {
  const child = fork(COMMAND, args, { stdio: ["ignore", "ignore", "ignore", "ipc"] });
  children.push(child);
  return child;
}

async function startCoordinator(): Promise<ChildProcess> {
  const child = start("coordinator", "--listen", `127.0.0.1:${String(port)}`, "--runs", folder);
  await new Promise<void>((resolve) => {
    child.on("message", (message: { port: number }) => {
      port = message.port;
      resolve();
    });
  });
  return child;
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once("exit", resolve));
}

async function startWorker(name: string): Promise<ChildProcess> {
  const child = start("worker", "--coordinator", `127.0.0.1:${String(port)}`, "--name", name);
  while (!(await client.status("")).workers.some(({ worker }) => worker === name));
  return child;
}

async function follow(run: string): Promise<RunStatus | undefined> {
  let last: RunStatus | undefined;
  for await (const status of client.watch(run)) last = status;
  return last;
}

const submit = (sweep: string, fresh = true, files: SubmitRequest["files"] = []) =>
  client.submit({ sweep, baseFolder: WORLD, allowPartial: false, file: "s.yaml", files, fresh });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-submit-"));
  children = [];
  port = 0;
  await startCoordinator();
  client = connectCluster(`127.0.0.1:${String(port)}`);
});

afterEach(async () => {
  client.close();
  for (const child of children) if (child.connected) child.disconnect();
  await Promise.all(children.map(ended));
  rmSync(folder, { recursive: true, force: true });
});

test("sweeps are queued, run, and the same sweep again is the run that is there", async () => {
  await expect(submit(SWEEP)).rejects.toThrow(/no worker is attached/);
  await startWorker("w0");
  const one = await submit(SWEEP);
  const two = await submit(`${SWEEP}seed: 1\n`);
  expect(two.run).not.toBe(one.run);
  const again = await submit(SWEEP);
  expect(again).toEqual(one);
  expect(await follow(two.run)).toMatchObject({ state: "complete" });
  expect(await follow(one.run)).toMatchObject({ state: "complete", folder: one.folder });
  expect(readRunFile(one.folder)).toMatchObject({ status: "complete", fingerprints: { backend: "wasm" } });
  expect(Object.keys(artifactHashes(one.folder))).toContain("scores-atp.safetensors");
});

test("a sweep takes over what the coordinator's earlier runs have, unless it is to be fresh", async () => {
  await startWorker("w0");
  const one = await submit(SWEEP);
  expect(await follow(one.run)).toMatchObject({ state: "complete" });
  const fresh = await submit(`${SWEEP}seed: 1\n`);
  expect(await follow(fresh.run)).toMatchObject({ state: "complete" });
  expect(readRunFile(fresh.folder).reused).toBeUndefined();
  const two = await submit(`${SWEEP}seed: 2\n`, false);
  expect(await follow(two.run)).toMatchObject({ state: "complete" });
  const { reused = [], counts } = readRunFile(two.folder);
  expect(reused.reduce((sum, { shards }) => sum + shards, 0)).toBe(counts.shards);
});

test("a sweep with a fault is refused where it is submitted, with file, line and field", async () => {
  await startWorker("w0");
  await expect(submit(`${SWEEP}oops: 1\n`)).rejects.toMatchObject({
    code: "bad_input",
    message: expect.stringMatching(/^s\.yaml:6: oops: /) as string,
  });
  const files = [
    { file: "model.yaml", firstLine: 1 },
    { file: "mine.yaml", firstLine: 5 },
  ];
  await expect(submit(`${SWEEP}oops: 1\n`, true, files)).rejects.toThrow(/^mine\.yaml:2: oops: /);
  expect((await client.status("")).runs).toEqual([]);
});

test("a coordinator that is replaced finds its workers again", async () => {
  const worker = await startWorker("w0");
  const first = children[0];
  first?.kill("SIGTERM");
  expect(first === undefined ? null : await ended(first)).toBe(0);
  await startCoordinator();
  const one = await submitWhenAttached();
  expect(await follow(one)).toMatchObject({ state: "complete" });
  expect(worker.exitCode).toBeNull();
});

/** Starts `patchbay watch` and waits for the first line that it prints. @returns what it ends with. */
async function watch(run: string): Promise<{ readonly code: Promise<number | null> }> {
  const args = ["watch", run, "--coordinator", `127.0.0.1:${String(port)}`];
  const child = fork(COMMAND, args, { stdio: ["ignore", "pipe", "ignore", "ipc"] });
  children.push(child);
  const code = ended(child);
  const output = must(child.stdout, "standard output");
  await Promise.race([once(output, "data"), code]);
  output.resume();
  return { code };
}

test("a coordinator that is killed takes its runs up again: queued and running ones go on, ended ones are known", async () => {
  await startWorker("w0");
  const first = await submit(SWEEP);
  expect(await follow(first.run)).toMatchObject({ state: "complete" });
  await until("the first run's report", () => readRunFile(first.folder).ended ?? undefined);
  const others = [await submit(LONG_SWEEP), await submit(`${SWEEP}seed: 2\n`)];
  const ids = [first, ...others].map(({ run }) => run);
  const watched = await Promise.all(ids.map(watch));
  must(children[0], "coordinator").kill("SIGKILL");
  await ended(must(children[0], "coordinator"));
  expect(others.map(({ folder: one }) => readRunFile(one).status)).toEqual(["running", "running"]);
  await startCoordinator();
  const { runs } = await client.status("");
  expect(runs.map(({ run }) => run)).toEqual(ids);
  expect(runs[0]).toMatchObject({ state: "complete", folder: first.folder });
  expect(await Promise.all(watched.map(({ code }) => code))).toEqual([0, 0, 0]);
  expect(others.map(({ folder: one }) => readRunFile(one).status)).toEqual(["complete", "complete"]);
  expect(await submit(SWEEP)).toEqual(first);
  expect(await client.cancel(first.run)).toEqual({ state: "complete" });
});

test("a coordinator that is stopped and started again goes on with its runs, and watchers wait for it", async () => {
  await startWorker("w0");
  const { run, folder: one } = await submit(LONG_SWEEP);
  const watched = await watch(run);
  must(children[0], "coordinator").kill("SIGTERM");
  await ended(must(children[0], "coordinator"));
  expect(readRunFile(one)).toMatchObject({
    status: "running",
    reason: expect.stringMatching(/^interrupted/) as string,
  });
  await startCoordinator();
  expect(await watched.code).toBe(0);
  expect(readRunFile(one)).toMatchObject({ status: "complete", counts: { quarantined: 0 } });
});

test("a run folder that cannot be read, or that nobody submitted, is left alone", async () => {
  await startWorker("w0");
  const { run, folder: one } = await submit(SWEEP);
  expect(await follow(run)).toMatchObject({ state: "complete" });
  must(children[0], "coordinator").kill("SIGKILL");
  await ended(must(children[0], "coordinator"));
  cpSync(one, join(folder, "copy"), { recursive: true });
  const { submitted: _submitted, ...file } = { ...readRunFile(one), status: "running" as const };
  writeRunFile(join(folder, "copy"), file);
  mkdirSync(join(folder, "broken"));
  writeFileSync(join(folder, "broken", "run.json"), "{");
  await startCoordinator();
  expect((await client.status("")).runs.map((status) => status.run)).toEqual([run]);
});

async function submitWhenAttached(): Promise<string> {
  for (;;) {
    const { workers } = await client.status("").catch(() => ({ workers: [] }));
    if (workers.length > 0) return (await submit(SWEEP)).run;
  }
}
