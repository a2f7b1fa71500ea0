/** @file Adam and the learning-rate schedule. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { createAdam, learningRateAt } from "../../../src/sae-training/adam.js";
import { variableFrom } from "../../../src/sae-training/variable.js";
import { startBackend } from "../../../src/backends/start-backend.js";

beforeAll(() => startBackend("wasm"));

/** The same steps in float64. */
function reference(start: number, gradients: readonly number[], rate: number): number {
  let [x, m, v] = [start, 0, 0];
  for (const [i, g] of gradients.entries()) {
    m = 0.9 * m + 0.1 * g;
    v = 0.99 * v + 0.01 * g * g;
    x -= (rate * (m / (1 - 0.9 ** (i + 1)))) / (Math.sqrt(v / (1 - 0.99 ** (i + 1))) + 1e-8);
  }
  return x;
}

describe("Adam", () => {
  it("takes the steps of the published algorithm", () => {
    const variable = tf.variable(tf.tensor1d([2, -1]));
    const adam = createAdam(new Map([["x", variable]]), { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 });
    const gradients = [
      [0.5, 3],
      [-0.25, 0.01],
      [4, -2],
    ];
    for (const gradient of gradients) adam.apply(new Map([["x", tf.tensor1d(gradient)]]), 0.1);
    const expected = [0, 1].map((i) =>
      reference(
        [2, -1][i] ?? NaN,
        gradients.map((g) => g[i] ?? NaN),
        0.1,
      ),
    );
    expect(variable.dataSync()).toBeAllclose(expected, { rtol: 1e-6, atol: 1e-6 });
  });

  it("keeps no tensor once disposed", async () => {
    await expect(() => {
      const variable = variableFrom(tf.zeros([3]), true);
      const adam = createAdam(new Map([["x", variable]]), { beta1: 0.9, beta2: 0.99, epsilon: 1e-8 });
      const gradient = tf.ones([3]);
      adam.apply(new Map([["x", gradient]]), 0.1);
      tf.dispose([gradient, variable]);
      adam.dispose();
    }).toLeakNoTensors();
  });
});

describe("the schedule", () => {
  const schedule = { peak: 2, warmUpSteps: 4, steps: 20 };
  it("rises linearly to its peak, then falls to 0", () => {
    expect([0, 1, 2, 3].map((step) => learningRateAt(step, schedule))).toEqual([0.5, 1, 1.5, 2]);
    expect(learningRateAt(4, schedule)).toBe(2);
    expect(learningRateAt(12, schedule)).toBeCloseTo(1);
    expect(learningRateAt(20, schedule)).toBeCloseTo(0);
  });
});
