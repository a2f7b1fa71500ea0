/** @file A step of Adam is the same whether the backend has it as one kernel or not. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { createRng } from "../../src/base/rng.js";
import { ADAM_KERNEL, adamStep } from "../../src/model/adam-step.js";
import { hasKernel } from "../../src/model/layer-kernels.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { OWN_KERNELS, TEST_BACKEND } from "./test-backend.js";
import "./matchers.js";

const SIZE = 40_000;
const RATES = { beta1: 0.9, beta2: 0.999, rate: 0.01, epsilon: 1e-8 };

describe("a step of Adam", () => {
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
  });

  it("torch has the kernel, the others compose it", () => {
    expect(hasKernel(ADAM_KERNEL)).toBe(OWN_KERNELS);
  });

  it("takes the published step on every number of an array", () => {
    const rng = createRng(0, "adam kernel");
    const draw = (): Float32Array => Float32Array.from({ length: SIZE }, () => rng.normal());
    const [value, first, gradient] = [draw(), draw(), draw()];
    const second = draw().map(Math.abs);
    const after = tf.tidy(() => {
      const of = (numbers: Float32Array): tf.Tensor => tf.tensor2d(numbers, [8, SIZE / 8]);
      const step = adamStep({ value: of(value), first: of(first), second: of(second), gradient: of(gradient) }, RATES);
      return [step.value, step.first, step.second].map((tensor) => tensor.dataSync<"float32">());
    });
    const at = (numbers: Float32Array, i: number): number => must(numbers[i], "number");
    const m = value.map((_, i) => 0.9 * at(first, i) + 0.1 * at(gradient, i));
    const v = value.map((_, i) => 0.999 * at(second, i) + 0.001 * at(gradient, i) ** 2);
    const x = value.map((from, i) => from - (0.01 * at(m, i)) / (Math.sqrt(at(v, i)) + 1e-8));
    for (const [i, expected] of [x, m, v].entries())
      expect(must(after[i], "array")).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-6 });
  });
});
