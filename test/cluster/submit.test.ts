/** @file A standing coordinator: sweeps are submitted to it, planned for its workers, queued and run one after the other. */
import { fork, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readRunFile } from "../../src/plan/run-folder.js";
import { connectCluster, type ClusterClient } from "../../src/wire/cluster-client.js";
import type { RunStatus } from "../../src/wire/messages.js";
import { artifactHashes } from "./command.js";

const COMMAND = fileURLToPath(new URL("../../bin/patchbay.js", import.meta.url));
const WORLD = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));

const SWEEP = `
name: submitted
model: { path: model }
dataset: { path: data/pairs.jsonl, limit: 4 }
scores: [{ name: atp, method: atp }]
`;

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

const submit = (sweep: string) => client.submit({ sweep, baseFolder: WORLD, allowPartial: false, file: "s.yaml" });

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

test("a sweep with a fault is refused where it is submitted, with file, line and field", async () => {
  await startWorker("w0");
  await expect(submit(`${SWEEP}oops: 1\n`)).rejects.toMatchObject({
    code: "bad_input",
    message: expect.stringMatching(/^s\.yaml:6: oops: /) as string,
  });
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

async function submitWhenAttached(): Promise<string> {
  for (;;) {
    const { workers } = await client.status("").catch(() => ({ workers: [] }));
    if (workers.length > 0) return (await submit(SWEEP)).run;
  }
}
