/**
 * @file Memory of one engine process over many shards: `node bench/memory/memory-bench.js [--backend torch] [--shards 1000]`.
 * Runs a small sweep on the tiny world once, then gives its shards to a fresh engine process over and over, and fails where the
 * process has grown by more than BOUND_MIB after warming up.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { PatchbayError } from "../../dist/base/errors.js";
import { sha256 } from "../../dist/base/hash.js";
import { readPlan, readRunFile, runPaths } from "../../dist/run/run-folder.js";
import { EngineProcess } from "../../dist/worker/engine-process.js";

const { values: flags } = parseArgs({
  options: { backend: { type: "string", default: "wasm" }, shards: { type: "string", default: "1000" } },
});
const BOUND_MIB = 64;
const WARM_UP = 0.2;
const COMMAND = fileURLToPath(new URL("../../bin/patchbay.js", import.meta.url));
const DATA = fileURLToPath(new URL("../../data", import.meta.url));

const scratch = mkdtempSync(join(tmpdir(), "patchbay-memory-"));
try {
  const folder = join(scratch, "run");
  const sweep = {
    name: "memory",
    model: { path: join(DATA, "tiny-gemma2") },
    saes: { path: join(DATA, "tiny-gemma2/saes") },
    dataset: { path: join(DATA, "agreement/rc.test.jsonl"), limit: 12 },
    engine: { threads: 1, block_mib: 8 },
    scores: [
      { name: "atp", method: "atp" },
      { name: "zero", method: "zero" },
    ],
    truth: { positions: [-1, -2], errors: {}, features: { top: 4, random: 2 } },
    circuits: { thresholds: { log10: [-3, -1], count: 3 }, variants: ["all"] },
  };
  writeFileSync(join(scratch, "sweep.json"), JSON.stringify(sweep));
  const run = ["run", join(scratch, "sweep.json"), "--out", folder, "--backend", flags.backend, "--fresh", "--json"];
  execFileSync(process.execPath, [COMMAND, ...run], { stdio: ["ignore", "ignore", "inherit"] });
  await measure(folder, Number(flags.shards));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** A copy of a file that is called by its hash, as a worker's are. */
function copyOf(path) {
  const copy = join(scratch, sha256(readFileSync(path)));
  copyFileSync(path, copy);
  return copy;
}

async function measure(folder, count) {
  const { plan_hash: planHash, inputs } = readRunFile(folder);
  const paths = runPaths(folder);
  const work = readPlan(folder, planHash).stages.flatMap(({ shards, reads }) =>
    [...shards].map(({ id }) => ({
      id,
      artifacts: Object.fromEntries(reads.map((name) => [name, copyOf(paths.artifact(name))])),
    })),
  );
  const { backend } = flags;
  const limits = { backend, threads: 1, memoryMib: 4096 };
  const files = { plan: copyOf(paths.plan), prompts: copyOf(paths.planPrompts) };
  /** What an engine is started with; an `undefined` of run.json's schema is a `null` there. */
  const init = /** @type {any} */ ({ kind: "init", plan: files, planHash, inputs, ...limits });
  const engine = new EngineProcess({ init, stallMs: 120_000, onProgress: () => undefined });
  await engine.load(init);
  const sizes = [];
  for (let i = 0; i < count; i++) {
    const { id, artifacts } = work[i % work.length];
    await engine.run({ shard: id, attempt: 0, artifacts });
    sizes.push(residentMib(engine.pid));
  }
  await engine.kill(new PatchbayError("cancelled", "the bench is done"));
  const from = Math.floor(count * WARM_UP);
  const most = (values) => Math.round(Math.max(...values));
  const [warm, last] = [most(sizes.slice(from / 2, from)), most(sizes.slice(-from))];
  const grown = last - warm;
  console.log(
    JSON.stringify({
      backend,
      shards: count,
      kinds: work.length,
      warm_mib: warm,
      last_mib: last,
      grown_mib: grown,
      bound_mib: BOUND_MIB,
    }),
  );
  console.log(
    `resident MiB along the way: ${sizes
      .filter((_, i) => i % Math.ceil(count / 12) === 0)
      .map(Math.round)
      .join(" ")}`,
  );
  if (grown > BOUND_MIB) process.exitCode = 1;
}

/** Resident memory of a process. Linux only. */
function residentMib(pid) {
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${String(pid)}/status`, "utf8"));
  return Number(kib[1]) / 1024;
}
