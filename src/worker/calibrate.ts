/** @file Speeds of the backend that is on, measured at the shapes of a plan: what an estimate is calibrated by. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { type CalibrationRequest, measuredShape, type Rates, type Shape } from "../cost/rates.js";
import { flopsOf, TENSOR_SIZES, TRAFFIC_KINDS, type TrafficKind } from "../cost/work.js";

const SMALL_OPS = 100;
const SMALL_OP_ROUNDS = 21;
/** Second factors take turns until they fill this many numbers, so that they come from memory as a model's weights do. */
const WEIGHTS_IN_TURN = 16 * 2 ** 20;
const MOST_IN_TURN = 8;
const MOST_REPEATS = 9;
const ROW = 512;

/** GFLOP/s of products of a shape; the median of at least three, or as many as `budgetMs` has room for. */
function productRate({ m, k, n, batch }: Shape, budgetMs: number): number {
  const turns = Math.max(1, Math.min(MOST_IN_TURN, Math.floor(WEIGHTS_IN_TURN / (batch * k * n))));
  const a = ones([batch, m, k]);
  const weights = Array.from({ length: turns }, () => ones([batch, k, n]));
  const seconds = medianSeconds(budgetMs, (turn) => {
    const product = tf.matMul(a, must(weights[turn % turns], "weights"));
    finish(product);
    product.dispose();
  });
  tf.dispose([a, ...weights]);
  return flopsOf({ of: "layers", m, k, n, batch }) / (seconds * 1e9);
}

/** A batch of one is a plain product, which backends may compute otherwise. */
function ones([batch, rows, columns]: [number, number, number]): Tensor {
  return batch === 1 ? tf.ones([rows, columns]) : tf.ones([batch, rows, columns]);
}

/** Seconds of a call on tensors of 64 numbers. */
function secondsPerCall(): number {
  const [a, b] = [tf.ones([64]), tf.ones([64])];
  const rounds = Array.from({ length: SMALL_OP_ROUNDS }, () => {
    const began = performance.now();
    tf.tidy(() => {
      for (let i = 0; i < SMALL_OPS; i++) tf.dispose(tf.add(a, b));
    });
    return (performance.now() - began) / 1000 / SMALL_OPS;
  });
  tf.dispose([a, b]);
  return median(rounds);
}

/** Bytes per second that operations of a kind read and write, on tensors of `size` numbers. */
function trafficRate(kind: TrafficKind, size: number, budgetMs: number): number {
  const [a, b] = [tf.fill([size / ROW, ROW], 0.5), tf.fill([size / ROW, ROW], 0.25)];
  const index = tf.tensor1d(
    Int32Array.from({ length: size / ROW }, (_, row) => size / ROW - 1 - row),
    "int32",
  );
  const operations: Record<TrafficKind, { readonly arrays: number; readonly run: () => Tensor }> = {
    arithmetic: { arrays: 3, run: () => tf.mul(a, b) },
    special: { arrays: 2, run: () => tf.sigmoid(a) },
    copy: { arrays: 2, run: () => tf.gather(a, index) },
    host: { arrays: 1, run: () => a },
  };
  const { arrays, run } = operations[kind];
  const seconds = medianSeconds(budgetMs, () => {
    const result = run();
    if (kind === "host") scan(result);
    else {
      finish(result);
      result.dispose();
    }
  });
  tf.dispose([a, b, index]);
  return (arrays * size * Float32Array.BYTES_PER_ELEMENT) / seconds;
}

/** Looks at every number on the host. */
function scan(x: Tensor): void {
  let found = 0;
  for (const value of x.dataSync()) if (value === 0) found += 1;
  if (found > 0) throw new Error("bug: a zero among ones");
}

/** Backends may compute later: reading one number waits for it. */
function finish(x: Tensor): void {
  tf.tidy(() =>
    tf
      .slice(
        x,
        x.shape.map(() => 0),
        x.shape.map(() => 1),
      )
      .dataSync(),
  );
}

/** Measures what an estimate needs, within about `budgetMs`. @param baseBytes - resident bytes before anything was loaded. */
export function calibrate({ products, budgetMs }: CalibrationRequest, baseBytes: number): Rates {
  const share = budgetMs / (products.length + TRAFFIC_KINDS.length * TENSOR_SIZES.length);
  const measured = products.map((shape) => ({
    ...measuredShape(shape),
    gflops: productRate(measuredShape(shape), share),
  }));
  const traffic = Object.fromEntries(
    TRAFFIC_KINDS.map((kind) => [kind, TENSOR_SIZES.map((size) => trafficRate(kind, size, share))]),
  ) as Rates["traffic"];
  return { products: measured, traffic, secondsPerCall: secondsPerCall(), baseBytes };
}

function medianSeconds(budgetMs: number, action: (turn: number) => void): number {
  action(0);
  const seconds: number[] = [];
  const began = performance.now();
  while (seconds.length < 3 || (seconds.length < MOST_REPEATS && performance.now() - began < budgetMs)) {
    const before = performance.now();
    action(seconds.length + 1);
    seconds.push((performance.now() - before) / 1000);
  }
  return median(seconds);
}

function median(values: readonly number[]): number {
  return must([...values].sort((x, y) => x - y)[Math.floor(values.length / 2)], "median");
}
