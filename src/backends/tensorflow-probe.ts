/** @file Whether TensorFlow loads on this machine, found out in a process of its own: it is large, and may crash. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import util from "node:util";
import type { BackendProbe } from "./torch-probe.js";

const PEER = "@tensorflow/tfjs-node-gpu";
/** Where `patchbay doctor --build tensorflow` puts the package. */
const BUILT = fileURLToPath(new URL(`../../.cache/tensorflow/node_modules/${PEER}`, import.meta.url));
const BINDING = join("lib", "napi-v8", "tfjs_binding.node");

/** What to do where TensorFlow is not there. */
export const BUILD_TENSORFLOW = "patchbay doctor --build tensorflow";

/** Folder of a tfjs-node-gpu that has its binding: what was built here, else the optional peer of this package; or null. */
export function findTensorflow(built: string = BUILT): string | null {
  return [built, ...peerFolder()].find((folder) => existsSync(join(folder, BINDING))) ?? null;
}

function peerFolder(): string[] {
  try {
    return [dirname(createRequire(import.meta.url).resolve(`${PEER}/package.json`))];
  } catch {
    return [];
  }
}

/**
 * Settings that TensorFlow reads when it loads; what the user has set stays. Products of float32 are not rounded to TF32 on a GPU
 * unless NVIDIA_TF32_OVERRIDE=1 says so: they would have 10 bits.
 */
export function tensorflowSettings(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const defaults = { NVIDIA_TF32_OVERRIDE: "0", TF_FORCE_GPU_ALLOW_GROWTH: "true", TF_CPP_MIN_LOG_LEVEL: "2" };
  return Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, env[name] ?? value]));
}

/**
 * Why the package cannot run on this Node: version 4.22 calls functions that Node 23 removed from `util`. Null where they are there.
 * Source: github.com/tensorflow/tfjs/issues/8609.
 */
export function nodeProblem(functions: object = util): string | null {
  if (Object.hasOwn(functions, "isNullOrUndefined")) return null;
  return `tensorflow does not run on Node ${process.versions.node}: its package calls util.isNullOrUndefined, which Node 23 removed. Use Node 20 or 22, or another backend`;
}

const PROGRAM = `const tf = require(process.argv[1]);
tf.add(1, 1).dataSync();
const { isUsingGpuDevice, binding } = tf.backend();
let processor = (require("node:os").cpus()[0]?.model ?? "unknown processor").trim();
if (isUsingGpuDevice) {
  const ask = ["--query-gpu=name", "--format=csv,noheader"];
  const named = require("node:child_process").spawnSync("nvidia-smi", ask, { encoding: "utf8" }).stdout ?? "";
  processor = (process.env.NVIDIA_TF32_OVERRIDE === "0" ? "TF32 off, " : "TF32 allowed, ") + (named.split("\\n")[0] || "unknown GPU");
}
console.log((isUsingGpuDevice ? "cuda" : "cpu") + " (TensorFlow " + binding.TF_Version + ", " + processor.slice(0, 120) + ")");`;

/** Loads TensorFlow in a child process. Its libraries choose their loops by processor, so the device names it. */
export function probeTensorflow(folder: string | null = findTensorflow(), problem = nodeProblem()): BackendProbe {
  if (problem !== null) return { problem };
  if (folder === null) return { problem: `tensorflow is not built here: ${BUILD_TENSORFLOW}` };
  const env = { ...process.env, ...tensorflowSettings() };
  const { status, stdout, stderr } = spawnSync(process.execPath, ["-e", PROGRAM, folder], { encoding: "utf8", env });
  if (status === 0) return { device: stdout.trim() };
  const words = /Error: (.*)/.exec(stderr)?.[1] ?? `exit code ${String(status)}`;
  return { problem: `tensorflow does not load: ${words}. Build it again: ${BUILD_TENSORFLOW} --force` };
}
