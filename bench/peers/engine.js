/**
 * @file The engine's side of the comparison: answers the same requests as peers.py. `node bench/peers/engine.js SIZE FOLDER BACKEND`.
 */
import { createInterface } from "node:readline";
import * as tf from "@tensorflow/tfjs-core";
import { startBackend } from "../../dist/backends/start-backend.js";
import { backendFlag } from "../bench-run.js";
import { openTasks } from "../engine/engine-tasks.js";

const [size, folder, backend] = process.argv.slice(2);
await startBackend(backendFlag(backend));
const { blocks, prompts, nodes, parts, tasks, close } = await openTasks(size, folder);
const units = Object.fromEntries(Object.entries(tasks).map(([name, [unit]]) => [name, unit]));
say({ ready: { blocks, prompts, nodes, parts, units } });
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const { task, shape } = request;
  const { values, ...times } = task === "gemm" ? await gemm(shape) : await timed(tasks[task][1]);
  const peak = process.resourceUsage().maxRSS / 2 ** 20;
  say({ ...times, peak, ...(request.values && { values: [...values()] }) });
}
await close();

/** Units and values of the work, and its wall and processor seconds. */
async function timed(run) {
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const { units, values } = await run();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { units, values, seconds, cpu: (user + system) / 1e6 };
}

/** GFLOP of five products of that shape, and their time. */
async function gemm([m, k, n]) {
  const [a, b] = [tf.ones([m, k]), tf.ones([k, n])];
  const answer = await timed(() => {
    // Not read back, as in peers.py: kernels are computed when they are called.
    for (let i = 0; i < 5; i++) tf.tidy(() => void tf.matMul(a, b));
    return { units: (5 * 2 * m * k * n) / 1e9, values: () => [] };
  });
  tf.dispose([a, b]);
  return answer;
}

function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
