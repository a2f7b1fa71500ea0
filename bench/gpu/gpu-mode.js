/**
 * @file One precision of `npm run bench:gpu`, in a process of its own: prints a line of JSON. The device and TF32 are in the environment.
 */
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { matricesFor } from "../../dist/backends/torch-matrices.js";
import { startBackend } from "../../dist/backends/start-backend.js";
import { dtypeFlag } from "../bench-run.js";
import { openTasks } from "../engine/engine-tasks.js";
import { median, round } from "../figures.js";
import { watchKernels } from "../engine/watch-kernels.js";

const { values: flags } = parseArgs({
  options: {
    size: { type: "string" },
    folder: { type: "string" },
    dtype: { type: "string" },
    repeats: { type: "string" },
  },
});
const dtype = dtypeFlag(flags.dtype);
const TASKS = ["atp", "truth, error nodes", "truth, feature nodes", "circuits"];

await startBackend("torch");
const { addon } = /** @type {import("../../dist/backends/torch-backend.js").TorchBackend} */ (tf.backend());
const watched = watchKernels("torch");
const { tasks, blocks, close } = await openTasks(flags.size, flags.folder, dtype);
const rates = {};
for (const name of TASKS) rates[name] = await rateOf(...tasks[name]);
const result = {
  dtype,
  blocks,
  gemm_4096_gflops: round((2 * 4096 ** 3) / 1e9 / secondsOfProduct([1, 4096, 4096, 4096])),
  peak_gib: round(addon.peakBytes() / 2 ** 30),
  rates,
};
console.log(JSON.stringify(result));
await close();

/**
 * Rate of a task, the share of its time that its matrix products would take alone, shape by shape, and the share that the host
 * spends in giving work to the device (where that nears 1, the device waits for the host).
 */
async function rateOf(unit, run) {
  await run();
  addon.synchronize();
  watched.reset();
  const measured = [];
  const began = performance.now();
  for (let i = 0; i < Number(flags.repeats); i++) {
    const before = performance.now();
    const { units } = await run();
    addon.synchronize();
    measured.push((1000 * units) / (performance.now() - before));
  }
  const seconds = (performance.now() - began) / 1000;
  const spent = [...watched.kernels.values()];
  const [count, ms] = [spent.reduce((sum, { calls }) => sum + calls, 0), spent.reduce((sum, one) => sum + one.ms, 0)];
  const shapes = [...watched.products];
  const gflop = shapes.reduce((sum, [key, times]) => sum + times * gflopOf(key.split(" ").map(Number)), 0);
  const ideal = shapes.reduce((sum, [key, times]) => sum + times * secondsOfProduct(key.split(" ").map(Number)), 0);
  return {
    rate: round(median(measured)),
    unit,
    gflops: round(gflop / seconds),
    share_of_product_rate: round(ideal / seconds),
    kernel_calls_per_second: round(count / seconds),
    launch_share: round(ms / 1000 / seconds),
  };
}

function gflopOf([batch, m, k, n]) {
  return (2 * batch * m * k * n) / 1e9;
}

/** Least of three: a product of activations is float32, one with a matrix has the compute type. */
function secondsOfProduct([batch, m, k, n]) {
  const a = batch === 1 ? tf.ones([m, k]) : tf.ones([batch, m, k]);
  const b = batch === 1 ? matricesFor(dtype).matrix(new Float32Array(k * n).fill(1), [k, n]) : tf.ones([batch, k, n]);
  const repeats = Math.max(1, Math.min(100, Math.round(2e8 / (batch * m * k * n))));
  const once = () => {
    addon.synchronize();
    const began = performance.now();
    for (let i = 0; i < repeats; i++) tf.tidy(() => void tf.matMul(a, b));
    addon.synchronize();
    return (performance.now() - began) / 1000 / repeats;
  };
  once();
  const seconds = Math.min(once(), once(), once());
  tf.dispose([a, b]);
  return seconds;
}
