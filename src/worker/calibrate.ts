/** @file Speeds of the backend that is on, measured at the shapes of a plan: what an estimate is calibrated by. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { type CalibrationRequest, measuredShape, type Rates, type Shape } from "../cost/rates.js";
import { flopsOf, TENSOR_SIZES, TRAFFIC_KINDS, type TrafficKind } from "../cost/work.js";
import { finish, medianSeconds, secondsPerCall } from "./timing.js";

/** Second factors take turns until they fill this many numbers, so that they come from memory as a model's weights do. */
const WEIGHTS_IN_TURN = 16 * 2 ** 20;
const MOST_IN_TURN = 8;
const REPEATS = { repeats: 3, most: 9 };
const ROW = 512;

/** GFLOP/s of products of a shape; the median of at least three, or as many as `budgetMs` has room for. */
function productRate({ m, k, n, batch }: Shape, budgetMs: number): number {
  const turns = Math.max(1, Math.min(MOST_IN_TURN, Math.floor(WEIGHTS_IN_TURN / (batch * k * n))));
  const a = ones([batch, m, k]);
  const weights = Array.from({ length: turns }, () => ones([batch, k, n]));
  const seconds = medianSeconds(
    (turn) => {
      const product = tf.matMul(a, must(weights[turn % turns], "weights"));
      finish(product);
      product.dispose();
    },
    { ...REPEATS, budgetMs },
  );
  tf.dispose([a, ...weights]);
  return flopsOf({ of: "layers", m, k, n, batch }) / (seconds * 1e9);
}

/** A batch of one is a plain product, which backends may compute otherwise. */
function ones([batch, rows, columns]: [number, number, number]): Tensor {
  return batch === 1 ? tf.ones([rows, columns]) : tf.ones([batch, rows, columns]);
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
  const seconds = medianSeconds(
    () => {
      const result = run();
      if (kind === "host") scan(result);
      else {
        finish(result);
        result.dispose();
      }
    },
    { ...REPEATS, budgetMs },
  );
  tf.dispose([a, b, index]);
  return (arrays * size * Float32Array.BYTES_PER_ELEMENT) / seconds;
}

/** Looks at every number on the host. */
function scan(x: Tensor): void {
  let found = 0;
  for (const value of x.dataSync()) if (value === 0) found += 1;
  if (found > 0) throw new Error("bug: a zero among ones");
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
  return { products: measured, traffic, secondsPerCall: secondsPerCall(), baseBytes, corrections: {} };
}
