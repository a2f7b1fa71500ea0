/** @file Speed and accuracy of the backend that is on, measured: what `patchbay doctor` says of each. */
import * as tf from "@tensorflow/tfjs-core";
import type { BackendMeasures } from "./backend-measures.js";
import { createRng } from "../base/rng.js";
import { finish, leastSeconds, secondsPerCall } from "./timing.js";

/** Side of the square matrices of the product. */
export const GEMM_SIZE = 512;
const COPY_VALUES = 2 ** 24;
/** How often each is timed. Products decide what is taken, and take milliseconds: so often that some of them are undisturbed. */
const [PRODUCTS, COPIES] = [60, 9];

/** Measures the backend that is on: takes about a second. */
export function measureBackend(): BackendMeasures {
  return {
    gemm_gflops: gemmRate(),
    microseconds_per_small_op: 1e6 * secondsPerCall(),
    copy_gib_per_second: copyRate(),
    largest_relative_error: largestError(),
  };
}

/** Seconds in which `make` gives a tensor. */
function secondsToMake(make: () => tf.Tensor, repeats: number): number {
  return leastSeconds(() => {
    tf.tidy(() => {
      finish(make());
    });
  }, repeats);
}

function gemmRate(): number {
  const shape: [number, number] = [GEMM_SIZE, GEMM_SIZE];
  const [a, b] = [tf.ones(shape), tf.ones(shape)];
  const seconds = secondsToMake(() => tf.matMul(a, b), PRODUCTS);
  tf.dispose([a, b]);
  return (2 * GEMM_SIZE ** 3) / (seconds * 1e9);
}

function copyRate(): number {
  const x = tf.ones([COPY_VALUES]);
  const one = tf.scalar(1);
  const seconds = secondsToMake(() => tf.add(x, one), COPIES);
  tf.dispose([x, one]);
  return (2 * 4 * COPY_VALUES) / 2 ** 30 / seconds;
}

const ROWS = 24;
const WIDTH = 96;
const COLUMNS = 40;
const CAP = 5;

/** The steps of a layer on fixed random numbers, each against the same step in float64 on the same float32 inputs. */
function largestError(): number {
  const rng = createRng(0, "doctor");
  const draw = (count: number): Float32Array => Float32Array.from({ length: count }, () => 2 * rng.normal());
  const [x, w] = [draw(ROWS * WIDTH), draw(WIDTH * COLUMNS)];
  return tf.tidy(() => {
    const [x_RD, w_DC] = [tf.tensor2d(x, [ROWS, WIDTH]), tf.tensor2d(w, [WIDTH, COLUMNS])];
    const y_RC = tf.matMul(x_RD, w_DC);
    const y = y_RC.dataSync();
    const normed = tf.mul(x_RD, tf.rsqrt(tf.mean(tf.square(x_RD), -1, true)));
    const capped = tf.mul(tf.tanh(tf.mul(y_RC, 1 / CAP)), CAP);
    return Math.max(
      relativeError(y, product(x, w)),
      relativeError(normed.dataSync(), byRow(x, WIDTH, norm)),
      relativeError(
        capped.dataSync(),
        byRow(y, COLUMNS, (row) => row.map((one) => Math.tanh(one / CAP) * CAP)),
      ),
      relativeError(tf.softmax(y_RC).dataSync(), byRow(y, COLUMNS, softmax)),
    );
  });
}

function product(x: Float32Array, w: Float32Array): number[] {
  return byRow(x, WIDTH, (row) =>
    Array.from({ length: COLUMNS }, (_, c) => row.reduce((sum, one, d) => sum + one * (w[d * COLUMNS + c] ?? 0), 0)),
  );
}

function norm(row: number[]): number[] {
  const scale = 1 / Math.sqrt(row.reduce((sum, one) => sum + one * one, 0) / row.length);
  return row.map((one) => one * scale);
}

function softmax(row: number[]): number[] {
  const largest = Math.max(...row);
  const powers = row.map((one) => Math.exp(one - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

function byRow(values: ArrayLike<number>, width: number, apply: (row: number[]) => number[]): number[] {
  const all = Array.from(values);
  return Array.from({ length: all.length / width }, (_, r) => apply(all.slice(r * width, (r + 1) * width))).flat();
}

function relativeError(actual: ArrayLike<number>, expected: readonly number[]): number {
  const scale = expected.reduce((largest, one) => Math.max(largest, Math.abs(one)), 0);
  return expected.reduce((worst, one, i) => Math.max(worst, Math.abs(Number(actual[i]) - one)), 0) / scale;
}
