/** @file Rotary position embedding, rotate-half form (first half against second half, not interleaved). */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { cosineOf, powerOf, sineOf } from "../base/elementary-functions.js";
import { ropeOf, type LayerType, type ModelConfig } from "../families/family.js";
import { hasKernel, LAYER_KERNELS, runKernel } from "./layer-kernels.js";
import { shapeOf } from "./tensor-shape.js";

/** Rotation of a list of flat rows. Owner: whoever called {@link ropeTables}. */
export interface Rope {
  readonly cos_R1H: Tensor;
  readonly sin_R1H: Tensor;
  /** Constant of the rotation: `x @ rotate` is rotate_half(x), exact in any dtype. */
  readonly rotate_HH: Tensor;
  dispose(): void;
}

/**
 * Tables of one type of layer for rows at the given positions; `positions[r]` is row r's.
 *
 * Angles are computed in float64, their sines and cosines rounded once.
 * Source: Su et al., arXiv 2104.09864, eq. 34; theta over the full head width (REFERENCE 1).
 */
export function ropeTables(config: ModelConfig, kind: LayerType, positions: ArrayLike<number>): Rope {
  const H = config.headDim;
  const turns = turnsOf(H, ropeOf(config, kind));
  const rows = positions.length;
  const cos = new Float32Array(rows * H);
  const sin = new Float32Array(rows * H);
  for (let r = 0; r < rows; r++) {
    const turn = turns(Number(positions[r]));
    for (const start of [r * H, r * H + H / 2]) {
      cos.set(turn.cos, start);
      sin.set(turn.sin, start);
    }
  }
  const cos_R1H = tf.tensor3d(cos, [rows, 1, H]);
  const sin_R1H = tf.tensor3d(sin, [rows, 1, H]);
  const rotate_HH = tf.tensor2d(rotateHalf(H), [H, H]);
  return {
    cos_R1H,
    sin_R1H,
    rotate_HH,
    dispose: () => {
      tf.dispose([cos_R1H, sin_R1H, rotate_HH]);
    },
  };
}

/** Cosines and sines of one position's angles, one for each pair of numbers of a head. */
interface Turn {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

/** Turns by position, for every head width and frequency that this process has met: all layers and all prompts share them. */
const KNOWN = new Map<string, (position: number) => Turn>();

function turnsOf(H: number, { theta, factor }: { readonly theta: number; readonly factor: number }) {
  const name = [H, theta, factor].join(" ");
  const known = KNOWN.get(name) ?? makeTurns(H, theta, factor);
  KNOWN.set(name, known);
  return known;
}

function makeTurns(H: number, theta: number, factor: number): (position: number) => Turn {
  const frequencies = Array.from({ length: H / 2 }, (_, i) => powerOf(theta, -(2 * i) / H) / factor);
  const turns = new Map<number, Turn>();
  return (position) => {
    const known = turns.get(position);
    if (known !== undefined) return known;
    const angles = frequencies.map((frequency) => position * frequency);
    const turn = { cos: Float32Array.from(angles, cosineOf), sin: Float32Array.from(angles, sineOf) };
    turns.set(position, turn);
    return turn;
  };
}

/** Matrix of `(x1, x2) -> (-x2, x1)` for row vectors. */
function rotateHalf(H: number): Float32Array {
  const half = H / 2;
  const matrix = new Float32Array(H * H);
  for (let i = 0; i < half; i++) {
    matrix[(i + half) * H + i] = -1;
    matrix[i * H + i + half] = 1;
  }
  return matrix;
}

/**
 * `x cos + rotate_half(x) sin` for every head of every row.
 *
 * @param x_RZ `[R, heads x H]`, heads side by side.
 * @returns the same shape. Owner: caller.
 */
export function applyRope(x_RZ: Tensor, rope: Rope): Tensor {
  const [R, Z] = shapeOf(x_RZ, "RZ");
  if (hasKernel(LAYER_KERNELS.rope))
    return runKernel(LAYER_KERNELS.rope, { x: x_RZ, cos: rope.cos_R1H, sin: rope.sin_R1H }, { direction: 1 });
  const [, H] = shapeOf(rope.rotate_HH, "HH");
  const heads = Z / H;
  const rotated_RNH = tf.reshape(tf.matMul(tf.reshape(x_RZ, [R * heads, H]), rope.rotate_HH as tf.Tensor2D), [
    R,
    heads,
    H,
  ]);
  const turned_RNH = tf.add(tf.mul(tf.reshape(x_RZ, [R, heads, H]), rope.cos_R1H), tf.mul(rotated_RNH, rope.sin_R1H));
  return tf.reshape(turned_RNH, [R, Z]);
}
