/** @file What a bench says of itself where a run names its environment and its worker, and the flags that benches share. */
import { BACKENDS } from "../dist/backends/backend-probe.js";
import { sha256 } from "../dist/base/hash.js";

/** The environment of a run that is computed in this process and thrown away. */
export function benchEnvironment(backend, threads, dtype = "float32") {
  return { code: "bench", backend, device: "cpu", threads, dtype, tfjs: "bench" };
}

/**
 * Appends what a shard gave, as a worker does.
 * @param {import("../dist/runlog/run-log.js").RunLog} log
 */
export async function keepRecord(log, planHash, shard, { payload, count, dtype = "float32" }) {
  const whose = { planHash, shard, attempt: 0, epoch: 0, worker: "bench", environment: "bench" };
  await log.append({ version: 1, ...whose, dtype, count, sha256: sha256(payload), seconds: 0, units: {} }, payload);
}

/** The value of `--backend`. */
export function backendFlag(text) {
  return oneOf("--backend", BACKENDS, text);
}

/** The value of `--dtype`. */
export function dtypeFlag(text) {
  return oneOf("--dtype", /** @type {const} */ (["float32", "bfloat16"]), text);
}

/**
 * @template {string} Name
 * @param {string} flag
 * @param {readonly Name[]} names
 * @param {string} text
 * @returns {Name}
 */
export function oneOf(flag, names, text) {
  const found = names.find((name) => name === text);
  if (found !== undefined) return found;
  console.error(`expected ${flag} ${names.join("|")}, got ${text}`);
  process.exit(2);
}
