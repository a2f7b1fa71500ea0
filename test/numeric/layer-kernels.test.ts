import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { AUTODIFF_RULES } from "../../src/model/backward-rules.js";
import { hasKernel, LAYER_KERNELS } from "../../src/model/layer-kernels.js";
import { mlpOut } from "../../src/model/mlp.js";
import { rmsNorm } from "../../src/model/rms-norm.js";
import { applyRope, ropeTables } from "../../src/model/rope.js";
import { readModelConfig } from "../../src/weights/model-config.js";
import { startBackend } from "../../src/worker/backends/wasm.js";
import { TINY_A } from "./golden.js";
import { TEST_BACKEND } from "./test-backend.js";
import "./matchers.js";

/** Equal rules that are not the ones the kernels stand for: what they give is composed. */
const COMPOSED = { ...AUTODIFF_RULES };
/** Widths that are no multiple of a vector. */
const [R, D, M] = [7, 203, 331];

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

describe("kernels of a layer's parts", () => {
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
  });

  it("are there on torch, and only there", () => {
    expect(Object.values(LAYER_KERNELS).map(hasKernel)).toEqual(Array(7).fill(TEST_BACKEND === "torch"));
  });

  it("norm as the composed norm does, value and gradient", () => {
    const gain = numbers([D], 2);
    const [fused, composed] = [AUTODIFF_RULES, COMPOSED].map((rules) =>
      both((x) => rmsNorm(x, gain, 1e-6, rules), numbers([R, D], 1)),
    );
    for (const i of [0, 1]) expect(must(fused, "fused")[i]).toBeAllclose(must(must(composed, "composed")[i], "values"));
  });

  it("give the MLP of the composed definition, value and gradient", () => {
    const config = readModelConfig(join(TINY_A, "model"));
    const weights = {
      preMlpGain_D: numbers([D], 1),
      gate_DM: tf.div(numbers([D, M], 2), 10),
      up_DM: tf.div(numbers([D, M], 3), 10),
      down_MD: tf.div(numbers([M, D], 4), 10),
      postMlpGain_D: numbers([D], 5),
    };
    const [fused, composed] = [AUTODIFF_RULES, COMPOSED].map((rules) =>
      both((x) => mlpOut(config, weights, x, rules), numbers([R, D], 6)),
    );
    for (const i of [0, 1])
      expect(must(fused, "fused")[i]).toBeAllclose(must(must(composed, "composed")[i], "values"), {
        rtol: 1e-4,
        atol: 1e-4,
      });
  });

  it("rotate by the angle of the position, and turn gradients back by it", () => {
    const config = readModelConfig(join(TINY_A, "model"));
    const H = config.headDim;
    const positions = [0, 3, 1, 6];
    const rope = ropeTables(config, "full", positions);
    const x = numbers([positions.length, 2 * H], 3);
    const [value, gradient] = both((y) => applyRope(y, rope), x);
    const [xs, cos, sin] = [x, rope.cos_R1H, rope.sin_R1H].map((one) => one.dataSync<"float32">());
    const turned = (from: Float32Array, direction: number): number[] =>
      Array.from(from, (of, i) => {
        const [row, h] = [Math.floor(i / (2 * H)), i % H];
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
