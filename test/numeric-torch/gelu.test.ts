/** @file The kernel of GELU times up against float64, for gates of every size. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { LAYER_KERNELS, runKernel } from "../../src/model/layer-kernels.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { OWN_KERNELS } from "../numeric/test-backend.js";
import "../numeric/matchers.js";

/** Not a multiple of a vector. */
const COUNT = 2003;
const gates = Float32Array.from({ length: COUNT }, (_, i) => 40 * ((2 * i) / COUNT - 1) ** 3);
const ups = Float32Array.from({ length: COUNT }, (_, i) => Math.sin(i) + 1.5);

/** `x share` is GELU; and its slope. */
function gelu(x: number): { readonly value: number; readonly slope: number } {
  const scale = 2 * Math.sqrt(2 / Math.PI);
  const share = 1 / (1 + Math.exp(-scale * (x + 0.044715 * x ** 3)));
  return { value: x * share, slope: share + x * share * (1 - share) * scale * (1 + 3 * 0.044715 * x ** 2) };
}

const kernel = (gate: tf.Tensor, up: tf.Tensor): tf.Tensor => runKernel(LAYER_KERNELS.geluTimes, { gate, up });

describe.runIf(OWN_KERNELS)("the kernel of GELU times up", () => {
  beforeAll(async () => {
    await startBackend("torch");
  });

  it("has float32's errors, value and gradients", () => {
    const inputs = [tf.tensor1d(gates), tf.tensor1d(ups)] as const;
    const found = [kernel(...inputs), ...tf.grads(kernel)([...inputs], inputs[1])].map((tensor) => tensor.dataSync());
    const each = (of: (gate: number, up: number) => number): number[] =>
      Array.from(gates, (gate, i) => of(gate, ups[i] ?? Number.NaN));
    const tolerance = { rtol: 2e-6, atol: 1e-7 };
    expect(found[0]).toBeAllclose(
      each((gate, up) => gelu(gate).value * up),
      tolerance,
    );
    expect(found[1]).toBeAllclose(
      each((gate, up) => gelu(gate).slope * up * up),
      tolerance,
    );
    expect(found[2]).toBeAllclose(
      each((gate, up) => gelu(gate).value * up),
      tolerance,
    );
  });

  it("passes on what is not a number, in its own place only", () => {
    const gate = Float32Array.from({ length: 11 }, (_, i) => (i % 5 === 2 ? Number.NaN : 0));
    expect(kernel(tf.tensor1d(gate), tf.ones([11])).dataSync()).toEqual(gate);
  });
});
