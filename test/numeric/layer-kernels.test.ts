import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { AUTODIFF_RULES, type BackwardRules } from "../../src/model/backward-rules.js";
import { hasKernel, LAYER_KERNELS } from "../../src/model/layer-kernels.js";
import { mlpNeurons, mlpOut } from "../../src/model/mlp.js";
import { computeProducts } from "../../src/model/products.js";
import { rmsNorm } from "../../src/model/rms-norm.js";
import { applyRope, ropeTables } from "../../src/model/rope.js";
import { readModelConfig } from "../../src/families/read-config.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { TINY_A } from "./golden.js";
import { OWN_KERNELS, TEST_BACKEND } from "./test-backend.js";
import { type Tolerance } from "./matchers.js";

/** Equal rules that are not the ones the kernels stand for: what they give is composed. */
const COMPOSED = { ...AUTODIFF_RULES };
/** Rows, widths of a row and of the MLP: around multiples of a vector, wide, and a single one. */
const SHAPES = [
  [7, 203, 331],
  [1, 1, 1],
  [1, 8, 16],
  [2, 7, 9],
  [3, 16, 15],
  [5, 17, 33],
  [4, 403, 1155],
] as const;

const numbers = (shape: [number, number] | [number], seed: number): tf.Tensor =>
  tf.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => 2 * Math.sin(seed + 1.7 * i + i * i)),
    shape,
  );

/** Value and gradient of a function of one tensor, for a gradient that differs from element to element. */
function both(f: (x: tf.Tensor) => tf.Tensor, x: tf.Tensor): Float32Array[] {
  const value = f(x);
  return [value, tf.grad(f)(x, tf.mul(tf.tanh(value), value))].map((tensor) => tensor.dataSync<"float32">());
}

/** The fused kernels' and the composed definition's, value and gradient. */
function compare(f: (rules: BackwardRules) => (x: tf.Tensor) => tf.Tensor, x: tf.Tensor, tolerance?: Tolerance): void {
  const [fused, composed] = [both(f(AUTODIFF_RULES), x), both(f(COMPOSED), x)];
  fused.forEach((values, i) => {
    expect(values).toBeAllclose(must(composed[i], "values"), tolerance);
  });
}

describe("kernels of a layer's parts", () => {
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
  });

  it("are there on torch, and only there", () => {
    expect(Object.values(LAYER_KERNELS).map(hasKernel)).toEqual(Array(7).fill(OWN_KERNELS));
  });

  it.each(SHAPES)("norm %i rows of %i numbers as the composed norm does, value and gradient", (R, D) => {
    const gain = numbers([D], 2);
    compare((rules) => (x) => rmsNorm(x, gain, 1e-6, rules), numbers([R, D], 1));
  });

  it.each(SHAPES)("give the MLP of the composed definition, value and gradient: %i rows, %i by %i", (R, D, M) => {
    const config = readModelConfig(join(TINY_A, "model"));
    const weights = {
      preMlpGain_D: numbers([D], 1),
      gate_DM: tf.div(numbers([D, M], 2), Math.sqrt(D)),
      up_DM: tf.div(numbers([D, M], 3), Math.sqrt(D)),
      down_MD: tf.div(numbers([M, D], 4), Math.sqrt(M)),
      postMlpGain_D: numbers([D], 5),
    };
    const tolerance = { rtol: 1e-4, atol: 1e-4 };
    const mlp = (rules: BackwardRules) => {
      const context = { config, weights, rules, products: computeProducts };
      return (x: tf.Tensor) => mlpOut(context, mlpNeurons(context, x));
    };
    compare(mlp, numbers([R, D], 6), tolerance);
  });

  it.each([
    [4, 2, 16],
    [1, 1, 2],
    [1, 3, 6],
    [33, 1, 78],
    [5, 8, 256],
  ])("rotate %i rows of %i heads of %i by the angle of the position, and turn gradients back by it", (R, N, H) => {
    const config = { ...readModelConfig(join(TINY_A, "model")), headDim: H };
    const positions = Array.from({ length: R }, (_, i) => (3 * i) % 7);
    const rope = ropeTables(config, "full", positions);
    const x = numbers([R, N * H], 3);
    const [value, gradient] = both((y) => applyRope(y, rope), x);
    const [xs, cos, sin] = [x, rope.cos_R1H, rope.sin_R1H].map((one) => one.dataSync<"float32">());
    const turned = (from: Float32Array, direction: number): number[] =>
      Array.from(from, (of, i) => {
        const [row, h] = [Math.floor(i / (N * H)), i % H];
        const other = h < H / 2 ? -must(from[i + H / 2], "pair") : must(from[i - H / 2], "pair");
        return of * must(cos?.[row * H + h], "cos") + direction * other * must(sin?.[row * H + h], "sin");
      });
    expect(value).toBeAllclose(turned(must(xs, "x"), 1));
    expect(gradient).toBeAllclose(
      turned(
        must(value, "value").map((v) => Math.tanh(v) * v),
        -1,
      ),
    );
  });
});
