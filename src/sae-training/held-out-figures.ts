/** @file Figures of an SAE on rows it was not trained on, buffer by buffer, summed in float64. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { decode, encode, loadSae, type Sae } from "../sae/sae.js";
import type { SaeWeights } from "../weights/sae-folder.js";

/** Figures of an SAE over rows of activations. */
export interface SaeFigures {
  /** Fraction of variance unexplained: `sum |x - xhat|^2 / sum |x - mean x|^2`. */
  readonly fvu: number;
  /** Mean number of firing features. */
  readonly l0: number;
  /** Firing features of the row that has most. */
  readonly largestL0: number;
  /** Features that fire on no row. */
  readonly dead: number;
}

/** Figures over the rows. */
export interface HeldOutFigures extends SaeFigures {
  readonly rows: number;
  /** Median over rows of `|x - xhat|^2 / |x - mean|^2`, with the mean of the first rows: a few huge rows do not move it. */
  readonly medianFvu: number;
}

/** Takes rows, then gives their figures. Owner: whoever made it. */
export interface HeldOutMeasure {
  /** Rows `[count, dIn]` flat. */
  add(values: Float32Array): void;
  figures(): HeldOutFigures;
  dispose(): void;
}

const ROWS_PER_BLOCK = 1024;

/** Measures an SAE. */
export function createMeasure(weights: SaeWeights): HeldOutMeasure {
  const { dIn, dSae } = weights;
  const sae = loadSae(weights);
  const [sums, fired] = [new Float64Array(dIn), new Float64Array(dSae)];
  const [errors, distances, firing]: [number[], number[], number[]] = [[], [], []];
  let near_D: Tensor | null = null;
  const addBlock = (block: Float32Array): void => {
    near_D ??= tf.tensor1d(meanOf(block, dIn));
    const found = blockFigures(sae, block, near_D);
    errors.push(...found.error_R);
    distances.push(...found.distance_R);
    firing.push(...found.firing_R);
    addTo(fired, found.fired_F);
    addTo(sums, found.sum_D);
  };
  return {
    add: (values) => {
      for (let from = 0; from < values.length; from += ROWS_PER_BLOCK * dIn)
        addBlock(values.subarray(from, from + ROWS_PER_BLOCK * dIn));
    },
    figures: () => {
      const rows = errors.length;
      const meanOffset = sums.reduce((sum, value) => sum + (value / rows) * (value / rows), 0);
      return {
        rows,
        fvu: total(errors) / (total(distances) - rows * meanOffset),
        medianFvu: median(errors.map((error, row) => error / must(distances[row], "distance"))),
        l0: total(firing) / rows,
        largestL0: firing.reduce((largest, count) => Math.max(largest, count), 0),
        dead: fired.filter((count) => count === 0).length,
      };
    },
    dispose: () => {
      sae.dispose();
      near_D?.dispose();
    },
  };
}

/** Sums over a block: by row, by feature, and of the rows' offsets from `near_D`. */
function blockFigures(sae: Sae, block: Float32Array, near_D: Tensor) {
  const tensors = tf.tidy(() => {
    const x_RD = tf.tensor2d(block, [block.length / sae.dIn, sae.dIn]);
    const f_RF = encode(sae, x_RD);
    const fires_RF = tf.step(tf.abs(f_RF));
    const offset_RD = tf.sub(x_RD, near_D);
    return {
      error_R: tf.sum(tf.square(tf.sub(x_RD, decode(sae, f_RF))), 1),
      distance_R: tf.sum(tf.square(offset_RD), 1),
      firing_R: tf.sum(fires_RF, 1),
      fired_F: tf.sum(fires_RF, 0),
      sum_D: tf.sum(offset_RD, 0),
    };
  });
  const read = (tensor: Tensor): Float32Array => tensor.dataSync<"float32">();
  const { error_R, distance_R, firing_R, fired_F, sum_D } = tensors;
  const values = {
    error_R: read(error_R),
    distance_R: read(distance_R),
    firing_R: read(firing_R),
    fired_F: read(fired_F),
    sum_D: read(sum_D),
  };
  tf.dispose(tensors);
  return values;
}

function meanOf(rows: Float32Array, dIn: number): Float32Array {
  const sums = new Float64Array(dIn);
  for (let from = 0; from < rows.length; from += dIn) addTo(sums, rows.subarray(from, from + dIn));
  return Float32Array.from(sums, (sum) => (sum * dIn) / rows.length);
}

function addTo(sums: Float64Array, values: Float32Array): void {
  for (let i = 0; i < sums.length; i++) sums[i] = must(sums[i], "sum") + must(values[i], "value");
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
