/** @file Counts what programs really ask of the test backend, kernel by kernel. */
import * as tf from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";
import { must } from "../../src/base/assert.js";
import { LAYER_KERNELS } from "../../src/model/layer-kernels.js";
import { SAE_KERNELS } from "../../src/sae/active-features.js";
import { TEST_BACKEND } from "./test-backend.js";

/** What was counted. */
export interface KernelCounts {
  readonly calls: number;
  readonly flops: number;
  /** Bytes of the inputs and outputs of kernels that are neither products nor views. */
  readonly bytes: number;
  /** Largest sum of bytes of all tensors, over what was there before. */
  readonly peakBytes: number;
}

/** Products inside of attention's kernels: scores and what is read by them; scores again, and two for each. */
const ATTENTION_PRODUCTS: Readonly<Record<string, number>> = {
  [LAYER_KERNELS.attention]: 2,
  [LAYER_KERNELS.attentionGradient]: 5,
};
const SAE_NAMES = new Set<string>(Object.values(SAE_KERNELS));
const VIEWS = new Set(["Reshape", "Identity", "ExpandDims", "Cast"]);

/** Runs `program` with every kernel counted. */
export async function countKernels(program: () => Promise<unknown>): Promise<KernelCounts> {
  const stock = tf.getKernelsForBackend(TEST_BACKEND);
  const before = tf.memory().numBytes;
  const counts = { calls: 0, flops: 0, bytes: 0, peakBytes: 0 };
  const counted = (kernel: KernelConfig): KernelConfig => ({
    ...kernel,
    kernelFunc: (args) => {
      const result = kernel.kernelFunc(args);
      const outputs = Array.isArray(result) ? result : [result];
      count(kernel.kernelName, Object.values(args.inputs) as TensorInfo[], outputs, args.attrs, args.inputs);
      return result;
    },
  });
  const count = (
    name: string,
    inputs: readonly TensorInfo[],
    outputs: readonly TensorInfo[],
    attrs: object | undefined,
    args: object,
  ): void => {
    counts.calls += 1;
    const made = outputs.reduce((sum, { shape }) => sum + 4 * tf.util.sizeFromShape(shape), 0);
    counts.peakBytes = Math.max(counts.peakBytes, tf.memory().numBytes + made - before);
    if (name === "BatchMatMul") {
      const a = must(inputs[0], "a");
      const inner = must(a.shape.at((attrs as { transposeA: boolean }).transposeA ? -2 : -1), "inner");
      counts.flops += 2 * inner * outputs.reduce((sum, { shape }) => sum + tf.util.sizeFromShape(shape), 0);
    } else if (name === SAE_KERNELS.encode || name === SAE_KERNELS.changes) {
      const named = args as { x: TensorInfo; encoder: TensorInfo };
      const features = must(named.encoder.shape[1], "features");
      const runs = name === SAE_KERNELS.changes ? 2 : 1;
      counts.flops += runs * 2 * tf.util.sizeFromShape(named.x.shape) * features;
      counts.bytes += runs * 4 * 2 * must(named.x.shape[0], "rows") * features;
    } else if (name in ATTENTION_PRODUCTS) {
      const { q, k } = args as { q: TensorInfo; k: TensorInfo };
      const { batch, heads } = attrs as { batch: number; heads: number };

      const keys = must(k.shape[0], "keys") / batch;
      counts.flops += 2 * must(ATTENTION_PRODUCTS[name], "products") * tf.util.sizeFromShape(q.shape) * keys;
      counts.bytes += 4 * 2 * must(q.shape[0], "rows") * heads * keys;
    } else if (!VIEWS.has(name) && !SAE_NAMES.has(name))
      counts.bytes += 4 * [...inputs, ...outputs].reduce((sum, { shape }) => sum + tf.util.sizeFromShape(shape), 0);
  };
  const swap = (kernels: readonly KernelConfig[]): void => {
    for (const kernel of kernels) {
      tf.unregisterKernel(kernel.kernelName, TEST_BACKEND);
      tf.registerKernel(kernel);
    }
  };
  swap(stock.map(counted));
  try {
    await program();
  } finally {
    swap(stock);
  }
  return counts;
}
