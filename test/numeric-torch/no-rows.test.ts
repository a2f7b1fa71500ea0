import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { AUTODIFF_RULES } from "../../src/model/backward-rules.js";
import { LAYER_KERNELS, runKernel } from "../../src/model/layer-kernels.js";
import { rmsNorm } from "../../src/model/rms-norm.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { OWN_KERNELS } from "../numeric/test-backend.js";

// Left out on a GPU, which has no kernels of our own.
describe.runIf(OWN_KERNELS)("kernels of our own", () => {
  beforeAll(async () => {
    await startBackend("torch");
  });

  it("take no rows, and give none: values and gradients", () => {
    const [none, gain, angles] = [tf.zeros([0, 8]), tf.ones([8]), tf.zeros([0, 1, 4])];
    const kernels = [
      (x: tf.Tensor) => rmsNorm(x, gain, 1e-6, AUTODIFF_RULES),
      (x: tf.Tensor) => runKernel(LAYER_KERNELS.geluTimes, { gate: x, up: x }),
      (x: tf.Tensor) => runKernel(LAYER_KERNELS.rope, { x, cos: angles, sin: angles }, { direction: 1 }),
    ];
    for (const kernel of kernels) {
      const value = kernel(none);
      expect([value.shape, tf.grad(kernel)(none, value).shape]).toEqual([none.shape, none.shape]);
    }
  });
});
