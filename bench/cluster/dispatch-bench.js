/**
 * @file What a shard costs besides its computation: runs of `noop` shards with real processes, gRPC, and a directory log with fsync.
 *
 * Throughput: shards per second between the first lease and the last accepted record, with the default number of leases per worker.
 * Latency: one shard's whole way, from its lease, through worker and engine, to the record checked by the coordinator; with one lease
 * per worker, so that no shard waits behind another.
 */
import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { environmentOf } from "../../dist/backends/choose-backend.js";
import { runCoordinator } from "../../dist/coordinator/run-coordinator.js";
import { StageShards } from "../../dist/plan/stage-shards.js";
import { hashOfPlan } from "../../dist/plan/stored-plan.js";
import { createRunFolder, writeRunFile } from "../../dist/run/run-folder.js";

const COMMAND = fileURLToPath(new URL("../../bin/patchbay.js", import.meta.url));
/** Leases before this one warm the processes up and are not counted. */
const WARM_UP = 200;

/** Runs both measurements in new folders of `scratch`. */
export async function dispatchBench(scratch = tmpdir(), { shards = 4000, workers = 2, log = "dir" } = {}) {
  const full = await measure(scratch, { shards, workers, log, settings: {} });
  const single = await measure(scratch, {
    shards: Math.ceil(shards / 4),
    workers,
    log,
    settings: { pipelineDepth: 1 },
  });
  return { shards, workers, shards_per_second: full.shardsPerSecond, latency_ms: single.latency };
}

async function measure(scratch, { shards, workers, log, settings }) {
  const folder = mkdtempSync(join(scratch, "patchbay-dispatch-"));
  const children = [];
  try {
    prepare(folder, shards + WARM_UP);
    const granted = new Map();
    const latencies = [];
    let first = 0;
    let last = 0;
    const observe = (happening) => {
      const now = performance.now();
      if (happening.kind === "grant") granted.set(happening.lease.id, now);
      if (happening.kind !== "recordVerified") return;
      latencies.push(now - granted.get(happening.report.lease));
      if (latencies.length === WARM_UP) first = now;
      last = now;
    };
    const onListening = (port) => {
      for (let i = 0; i < workers; i++) {
        const args = ["worker", "--coordinator", `127.0.0.1:${String(port)}`, "--name", `worker-${String(i)}`];
        children.push(fork(COMMAND, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] }));
      }
    };
    const run = { folder, log };
    const reduceModules = [REDUCTIONS];
    const status = await runCoordinator({
      host: "127.0.0.1",
      port: 0,
      run,
      settings,
      observe,
      onListening,
      reduceModules,
    });
    if (status.state !== "complete") throw new Error(`the bench run is ${status.state}: ${status.reason}`);
    const sorted = latencies.slice(WARM_UP).sort((a, b) => a - b);
    const quantile = (q) => sorted[Math.floor(q * (sorted.length - 1))];
    return {
      shardsPerSecond: (latencies.length - WARM_UP) / ((last - first) / 1000),
      latency: { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99) },
    };
  } finally {
    await Promise.all(children.map(ended));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A reduction thread that has nothing to reduce and writes no report. */
const REDUCTIONS = `data:text/javascript,${encodeURIComponent("export const reduceStage = async () => ({ remade: [], warnings: [] }); export const finishRun = async () => [];")}`;

function ended(child) {
  if (child.exitCode !== null || child.signalCode !== null) return undefined;
  return new Promise((resolve) => child.once("exit", resolve));
}

function prepare(folder, shards) {
  const stage = {
    id: "noop",
    task: { kind: "noop" },
    dependsOn: [],
    reads: [],
    shards: new StageShards("noop", [], { blocks: null, slots: [[0, shards]], cells: 1 }),
  };
  const environment = environmentOf({ backend: "wasm", device: "cpu", reason: "the bench" }, 1, "float32");
  /** What a run folder and the coordinator read of a plan whose shards compute nothing. */
  const plan = /** @type {any} */ ({
    version: 2,
    sweep: { name: "dispatch", dtype: environment.dtype },
    fingerprints: { model: "none", saes: null, dataset: "none" },
    prompts: [],
    promptBlocks: [],
    engine: { threads: environment.threads, blockMib: 1, backend: environment.backend },
    stages: [stage],
  });
  createRunFolder(folder, plan);
  writeRunFile(folder, {
    version: 1,
    name: "dispatch",
    status: "running",
    reason: "",
    plan_hash: hashOfPlan(plan),
    sweep: {},
    inputs: { model: "", saes: null, dataset: "", saeOptions: {} },
    fingerprints: { ...plan.fingerprints, ...environment },
    counts: { prompts: 0, dropped: 0, shards: 0, done: 0, quarantined: 0, retries: 0, workers: 0 },
    quarantined: [],
    timings: {},
    weight_loading_seconds: 0,
    warnings: [],
    allow_partial: false,
    started: new Date().toISOString(),
    ended: null,
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(await dispatchBench(), null, 1));
