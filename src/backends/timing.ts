/** @file Timing of the backend that is on. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";

const SMALL_OPS = 100;
const SMALL_OP_ROUNDS = 21;

/** Backends may compute later: reading one number of a result waits for it. */
export function finish(x: Tensor): void {
  tf.tidy(() => tf.slice(tf.reshape(x, [x.size]), [0], [1]).dataSync());
}

/** Least of `repeats` times, after a first one: what other work on the machine takes away does not count. */
export function leastSeconds(action: () => void, repeats: number): number {
  action();
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < repeats; i++) {
    const before = performance.now();
    action();
    least = Math.min(least, (performance.now() - before) / 1000);
  }
  return least;
}

/** Seconds of a call on tensors of 64 numbers. */
export function secondsPerCall(): number {
  const [a, b] = [tf.ones([64]), tf.ones([64])];
  const seconds = leastSeconds(() => {
    for (let i = 0; i < SMALL_OPS; i++) tf.dispose(tf.add(a, b));
  }, SMALL_OP_ROUNDS);
  tf.dispose([a, b]);
  return seconds / SMALL_OPS;
}

/** The middle one; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  const middle = [Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2)].map((i) =>
    must(sorted[i], "median"),
  );
  return middle.reduce((sum, value) => sum + value / 2, 0);
}
