/**
 * @file A night in small: a standing cluster with its results in NATS, three sweeps in its queue, and what a night brings. The coordinator
 * is killed twice, once while NATS is away; NATS is away for three minutes; the engines of one worker die at start from the first minute
 * to the last. Nobody touches the cluster. All of it is real processes on loopback, and each fault is shown to have happened.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { must } from "../../src/base/assert.js";
import { readRunFile } from "../../src/run/run-folder.js";
import { connectCluster } from "../../src/wire/cluster-client.js";
import { artifactHashes, patchbay, recordCount, start, until, type Running } from "./command.js";
import { startNatsServer, WITHOUT_NATS, type NatsServer } from "./nats-server.js";

const TINY_A = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));
const DYING_ENGINE = new URL("./dying-engine.js", import.meta.url).href;
const NATS_AWAY_MS = 180_000;
const LIMIT_MS = 20 * 60_000;

const SEEDS = [0, 1, 2];
const sweepOf = (seed: number): string => `name: night-${String(seed)}
model: { path: ${TINY_A}/model }
saes: { path: ${TINY_A}/saes }
dataset: { path: ${TINY_A}/data/pairs-mixed-lengths.jsonl }
engine: { block_mib: 4, threads: 1 }
seed: ${String(seed)}
scores: [{ name: atp, method: atp }]
means: true
truth: { positions: all, errors: {}, features: { top: 12, random: 12 } }
circuits: { thresholds: { log10: [-4, -1], count: 4 } }
`;

const submissionSchema = z.object({ run: z.string(), folder: z.string() });

let scratch: string;
let nats: NatsServer;
let port = "0";
const processes: Running[] = [];

function launch(args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  const running = start(args, { ...process.env, ...env });
  processes.push(running);
  return running;
}

/** The coordinator, on its port after the first time. It listens once it has taken up what was there. */
function startCoordinator(): Running {
  return launch(["coordinator", "--listen", `127.0.0.1:${port}`, "--runs", join(scratch, "runs"), "--log", nats.url]);
}

async function listening(coordinator: Running): Promise<void> {
  port = await until("a port", () => /listening on 127\.0\.0\.1:(\d+)/.exec(coordinator.words())?.[1]);
}

async function kill({ child, ended }: Running): Promise<void> {
  child.kill("SIGKILL");
  expect((await ended).signal).toBe("SIGKILL");
}

const address = (): string => `127.0.0.1:${port}`;
const startWorker = (name: string, env?: NodeJS.ProcessEnv): Running =>
  launch(["worker", "--coordinator", address(), "--name", name], env);

async function workerStates(): Promise<Map<string, string>> {
  const client = connectCluster(address());
  try {
    const { workers } = await client.status("");
    return new Map(workers.map(({ worker, state, reason }) => [worker, `${state} ${reason}`]));
  } finally {
    client.close();
  }
}

async function attached(name: string): Promise<void> {
  for (let tries = 0; !(await workerStates()).has(name); tries++) expect(tries).toBeLessThan(10_000);
}

async function submit(seed: number): Promise<z.infer<typeof submissionSchema>> {
  const file = join(scratch, `night-${String(seed)}.yaml`);
  writeFileSync(file, sweepOf(seed));
  const { stdout, stderr } = await patchbay(["submit", file, "--coordinator", address(), "--fresh", "--json"]);
  expect(stderr).toBe("");
  return submissionSchema.parse(JSON.parse(stdout));
}

/** The artifacts of the same sweep where nothing happens. */
async function undisturbed(seed: number): Promise<Record<string, string>> {
  const out = join(scratch, `quiet-${String(seed)}`);
  const file = join(scratch, `night-${String(seed)}.yaml`);
  const ended = await patchbay(["run", file, "--out", out, "--backend", "wasm", "--fresh"]);
  expect(ended.code).toBe(0);
  return artifactHashes(out);
}

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "patchbay-night-"));
  nats = await startNatsServer();
});

afterAll(async () => {
  for (const { child } of processes) child.kill("SIGKILL");
  await Promise.all(processes.map(({ ended }) => ended));
  await nats.stop();
  rmSync(scratch, { recursive: true, force: true });
});

test.skipIf(WITHOUT_NATS)(
  "three sweeps are complete in the morning, with the bytes of a quiet night, and only the bad worker is blamed",
  { timeout: LIMIT_MS },
  async () => {
    const coordinators = [startCoordinator()];
    await listening(must(coordinators[0], "coordinator"));
    startWorker("good-0");
    await attached("good-0");
    startWorker("good-1");
    const bad = startWorker("bad", { NODE_OPTIONS: `--import=${DYING_ENGINE}` });
    await attached("bad");
    const runs = [];
    for (const seed of SEEDS) runs.push(await submit(seed));
    const folders = runs.map(({ folder }) => folder);
    const recorded = (): number => folders.reduce((sum, folder) => sum + recordCount(folder), 0);
    const watchers = runs.map(({ run }) => launch(["watch", run, "--coordinator", address()]));
    await until("a first line of each watcher", () =>
      watchers.every(({ printed }) => printed() !== "") ? true : undefined,
    );

    // The first kill, in the middle of the first run.
    await until(
      "the bad worker's cordon",
      () => must(coordinators[0], "coordinator").words().includes("worker bad is cordoned") || undefined,
    );
    await until("a few records", () => (recorded() > 2 ? true : undefined));
    await kill(must(coordinators.at(-1), "coordinator"));
    expect(folders.map((folder) => readRunFile(folder).status)).toContain("running");
    coordinators.push(startCoordinator());
    await listening(must(coordinators.at(-1), "coordinator"));

    // NATS goes away with work in flight, and the coordinator is killed while it is away.
    const before = recorded();
    await until("another record", () => (recorded() > before ? true : undefined));
    await nats.kill();
    expect(folders.map((folder) => readRunFile(folder).status)).toContain("running");
    await delay(NATS_AWAY_MS / 2);
    await kill(must(coordinators.at(-1), "coordinator"));
    coordinators.push(startCoordinator());
    await delay(NATS_AWAY_MS / 2);
    expect(must(coordinators.at(-1), "coordinator").words()).toMatch(
      /waits for its log: NATS at .* connection refused/,
    );
    await nats.restart();
    await listening(must(coordinators.at(-1), "coordinator"));

    const ends = await Promise.all(watchers.map(({ ended }) => ended));
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(ends.every(({ stderr }) => stderr.includes("is away; waiting for it to come back"))).toBe(true);
    for (const folder of folders) await until(`the end of ${folder}`, () => readRunFile(folder).ended ?? undefined);
    for (const [index, folder] of folders.entries()) {
      expect(readRunFile(folder)).toMatchObject({ status: "complete", counts: { quarantined: 0 }, quarantined: [] });
      expect(artifactHashes(folder)).toEqual(await undisturbed(must(SEEDS[index], "seed")));
    }
    expect(bad.words()).toContain("made to die");
    const states = await workerStates();
    expect(states.get("bad")).toMatch(/^cordoned .*engine_start_failed: before it had any shard/);
    for (const good of ["good-0", "good-1"]) expect(states.get(good)).toMatch(/^attached/);
    const words = coordinators.map((one) => one.words()).join("");
    expect(words).not.toMatch(/worker good-\d is cordoned|quarantined/);
  },
);
