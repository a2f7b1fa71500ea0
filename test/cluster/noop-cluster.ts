/** @file A cluster of real processes on loopback whose shards compute nothing, for tests of recovery. */
import { fork, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tfjsVersion } from "../../src/backends/tfjs-version.js";
import { must } from "../../src/base/assert.js";
import type { Settings } from "../../src/coordinator/state.js";
import type { Plan, Stage } from "../../src/plan/plan.js";
import { createRunFolder, readRunFile, writeRunFile, type RunFile } from "../../src/run/run-folder.js";
import { openDirectoryLog } from "../../src/runlog/directory-log.js";
import { connectCluster, type ClusterClient } from "../../src/wire/cluster-client.js";
import type { ClusterStatus } from "../../src/wire/messages.js";
import { isAlive, until } from "./command.js";
import type { NoopTask } from "../../src/experiments/noop/task.js";
import { StageShards } from "../../src/plan/stage-shards.js";
import { hashOfPlan } from "../../src/plan/stored-plan.js";

const COMMAND = fileURLToPath(new URL("../../bin/patchbay.js", import.meta.url));
const COORDINATOR = fileURLToPath(new URL("./noop-coordinator.js", import.meta.url));
const IMPATIENT_WORKER = fileURLToPath(new URL("./impatient-worker.js", import.meta.url));
const DYING_ENGINE = new URL("./dying-engine.js", import.meta.url).href;
const VERSION = new URL("../../dist/base/code-version.js", import.meta.url).href;

/** Impatient settings, so that lost workers are noticed within a test's time. */
const QUICK: Partial<Settings> = { heartbeatMs: 200, workerTimeoutMs: 15_000, reattachMs: 1000 };

/** A stage of `noop` shards. */
export function noopStage(
  id: string,
  shards: number,
  task: Omit<NoopTask, "kind"> = {},
  dependsOn: string[] = [],
): Stage {
  return {
    id,
    task: { kind: "noop", ...task },
    dependsOn,
    reads: dependsOn.map((other) => `${other}.bin`),
    shards: new StageShards(id, [], { blocks: null, slots: [[0, shards]], cells: 1 }),
  };
}

/** Creates a run folder for stages of `noop` shards. */
export async function makeNoopRun(stages: readonly Stage[], allowPartial = false): Promise<string> {
  const { codeVersion } = (await import(VERSION)) as { codeVersion: () => string };
  const folder = mkdtempSync(join(tmpdir(), "patchbay-noop-"));
  const plan = {
    version: 2,
    sweep: { name: "noop", dtype: "float32" },
    fingerprints: { model: "none", saes: null, dataset: "none" },
    prompts: [],
    promptBlocks: [],
    engine: { threads: 1, blockMib: 64, backend: "wasm" },
    stages,
  } as unknown as Plan;
  createRunFolder(folder, plan);
  const run: RunFile = {
    version: 1,
    name: "noop",
    status: "running",
    reason: "",
    plan_hash: hashOfPlan(plan),
    sweep: {},
    inputs: { model: "", saes: null, dataset: "", saeOptions: {} },
    fingerprints: {
      ...plan.fingerprints,
      code: codeVersion(),
      backend: "wasm",
      device: "cpu",
      threads: 1,
      dtype: "float32",
      tfjs: tfjsVersion("wasm"),
    },
    counts: { prompts: 0, dropped: 0, shards: 0, done: 0, quarantined: 0, retries: 0, workers: 0 },
    quarantined: [],
    timings: {},
    weight_loading_seconds: 0,
    warnings: [],
    allow_partial: allowPartial,
    started: new Date().toISOString(),
    ended: null,
  };
  writeRunFile(folder, run);
  return folder;
}

/** A process of the cluster. */
export interface Role {
  readonly child: ChildProcess;
  /** Process ids of its engines, latest last. */
  readonly engines: number[];
  /** What it has written to standard error so far. */
  readonly said: () => string;
  readonly ended: Promise<{
    readonly code: number | null;
    readonly signal: NodeJS.Signals | null;
    readonly stderr: string;
  }>;
}

/** One coordinator and some workers. Use `close` in the end. */
export class NoopCluster {
  readonly folder: string;
  readonly roles: Role[] = [];
  port = 0;
  #settings: Partial<Settings>;
  #client: ClusterClient | null = null;
  #log: string;

  constructor(folder: string, settings: Partial<Settings> = {}, log = "dir") {
    this.folder = folder;
    this.#settings = { ...QUICK, ...settings };
    this.#log = log;
  }

  /** Starts the coordinator, again on its port after the first time, and waits until it listens. */
  async startCoordinator(): Promise<Role> {
    const options = { folder: this.folder, log: this.#log, port: this.port, settings: this.#settings };
    const role = this.#start(COORDINATOR, [JSON.stringify(options)]);
    const listening = new Promise<void>((resolve) => {
      role.child.on("message", (message: { kind: string; port: number }) => {
        if (message.kind !== "listening") return;
        this.port = message.port;
        resolve();
      });
    });
    await Promise.race([listening, role.ended]);
    return role;
  }

  /** Starts a worker. */
  startWorker(name: string, ...flags: string[]): Role {
    const address = `127.0.0.1:${String(this.port)}`;
    const role = this.#start(COMMAND, ["worker", "--coordinator", address, "--name", name, ...flags]);
    role.child.on("message", (message: { kind: string; pid: number | null }) => {
      if (message.kind === "engine" && message.pid !== null) role.engines.push(message.pid);
    });
    return role;
  }

  /** Starts a worker each of whose engines dies before it has loaded anything. */
  startWorkerOfDyingEngines(name: string): Role {
    const env = { ...process.env, NODE_OPTIONS: `--import=${DYING_ENGINE}` };
    return this.#start(COMMAND, ["worker", "--coordinator", `127.0.0.1:${String(this.port)}`, "--name", name], env);
  }

  /** Starts a worker that looks for the run log at an address where none is. */
  startWorkerWithoutLog(name: string): Role {
    const options = { coordinator: `127.0.0.1:${String(this.port)}`, name, log: "nats://127.0.0.1:1" };
    return this.#start(IMPATIENT_WORKER, [JSON.stringify(options)]);
  }

  /** Starts everything and waits for the run's end. */
  async run(workers: number): Promise<RunFile> {
    const coordinator = await this.startCoordinator();
    for (let i = 0; i < workers; i++) this.startWorker(`w${String(i)}`);
    await coordinator.ended;
    return readRunFile(this.folder);
  }

  /** The coordinator's status. */
  status(): Promise<ClusterStatus> {
    return this.client().status("");
  }

  client(): ClusterClient {
    this.#client ??= connectCluster(`127.0.0.1:${String(this.port)}`);
    return this.#client;
  }

  /** Waits until a worker's engine is in the middle of a shard. @returns the shard's id. */
  async midShard(worker: string): Promise<string> {
    for (;;) {
      const { workers } = await this.status();
      const engine = workers.find((one) => one.worker === worker)?.engine;
      if (engine?.phase === "running" && engine.done > 0 && engine.done < engine.total) return engine.shard;
    }
  }

  /** Ends what is left, and checks that no process survives its parent's pipe. */
  async close(): Promise<void> {
    this.#client?.close();
    for (const { child } of this.roles) if (child.connected) child.disconnect();
    await Promise.all(this.roles.map(({ ended }) => ended));
    const pids = this.roles.flatMap(({ child, engines }) => [must(child.pid, "pid"), ...engines]);
    await until(`the end of ${String(pids)}`, () => (pids.some(isAlive) ? undefined : true));
    rmSync(this.folder, { recursive: true, force: true });
  }

  #start(script: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Role {
    const child = fork(script, args, { env, stdio: ["ignore", "ignore", "pipe", "ipc"] });
    let stderr = "";
    // `close` does not come when this side closes the pipe first, so both ends are waited for here.
    const output = must(child.stderr, "stderr");
    const read = new Promise((resolve) => output.once("close", resolve));
    const ended: Role["ended"] = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        void read.then(() => {
          resolve({ code, signal, stderr });
        });
      });
    });
    output.on("data", (bytes: Buffer) => (stderr += bytes.toString()));
    const role: Role = { child, engines: [], said: () => stderr, ended };
    this.roles.push(role);
    return role;
  }
}

/** Hash of every record's payload, by shard. */
export async function recordHashes(folder: string): Promise<Record<string, string>> {
  const log = await openDirectoryLog(join(folder, "log"));
  const records = await log.list();
  await log.close();
  return Object.fromEntries(records.map((record) => [record.shard, record.sha256]));
}

/** Temporary folders of a worker process. */
export function workerFolders({ child }: Role): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(`patchbay-worker-${String(child.pid)}-`));
}

/** An artifact's first line: which shards are missing in it. */
export function missingIn(folder: string, stage: string): string {
  return readFileSync(join(folder, "artifacts", `${stage}.bin`), "latin1").split("\n")[0] ?? "";
}
