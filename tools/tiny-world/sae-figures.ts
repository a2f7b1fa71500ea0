/** @file How well an SAE does on rows of activations. */
import * as tf from "@tensorflow/tfjs-core";
import { must } from "../../src/base/assert.js";
import { decode, encode, loadSae } from "../../src/sae/sae.js";
import type { SaeWeights } from "../../src/weights/sae-folder.js";
import type { SaeFigures } from "../../src/sae-training/held-out-figures.js";
import type { ActivationRows } from "./sae-trainer.js";

const ROWS_PER_BLOCK = 1024;

/** Measures an SAE, in float64 sums. */
export function measureSae(weights: SaeWeights, { values, dIn }: ActivationRows): SaeFigures {
  const count = values.length / dIn;
  const sae = loadSae(weights);
  const firing = new Float64Array(weights.dSae);
  let [squaredError, largestL0] = [0, 0];
  for (let from = 0; from < count; from += ROWS_PER_BLOCK) {
    const block = values.subarray(from * dIn, Math.min(count, from + ROWS_PER_BLOCK) * dIn);
    const [features, decoded] = tf.tidy(() => {
      const f_RF = encode(sae, tf.tensor2d(block, [block.length / dIn, dIn]));
      return [f_RF, decode(sae, f_RF)] as const;
    });
    for (const [i, xhat] of decoded.dataSync<"float32">().entries())
      squaredError += (must(block[i], "value") - xhat) ** 2;
    const fires = features.dataSync<"float32">().map((f) => (f === 0 ? 0 : 1));
    for (const [i, fired] of fires.entries())
      firing[i % weights.dSae] = must(firing[i % weights.dSae], "count") + fired;
    for (let row = 0; row < fires.length; row += weights.dSae)
      largestL0 = Math.max(largestL0, sum(fires.subarray(row, row + weights.dSae)));
    tf.dispose([features, decoded]);
  }
  sae.dispose();
  return {
    fvu: squaredError / totalVariance(values, dIn),
    l0: sum(firing) / count,
    largestL0,
    dead: firing.filter((n) => n === 0).length,
  };
}

function sum(values: Float32Array | Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function totalVariance(values: Float32Array, dIn: number): number {
  const sums = new Float64Array(dIn);
  let squares = 0;
  for (const [i, value] of values.entries()) {
    sums[i % dIn] = must(sums[i % dIn], "sum") + value;
    squares += value * value;
  }
  const count = values.length / dIn;
  return squares - sum(sums.map((s) => (s * s) / count));
}
