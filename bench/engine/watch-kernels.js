/** @file Counts and times every kernel of a backend: adds a few hundred nanoseconds to each. */
import * as tf from "@tensorflow/tfjs-core";
import { SAE_KERNELS } from "../../dist/sae/active-features.js";

/** Starts to watch. @returns calls and milliseconds by kernel, and how often each shape of product came (`batch m k n`). */
export function watchKernels(backend) {
  const kernels = new Map();
  const products = new Map();
  for (const stock of tf.getKernelsForBackend(backend)) {
    tf.unregisterKernel(stock.kernelName, backend);
    const spent = { calls: 0, ms: 0 };
    kernels.set(stock.kernelName, spent);
    const kernelFunc = (args) => {
      countProduct(products, stock.kernelName, args);
      const began = performance.now();
      try {
        return stock.kernelFunc(args);
      } finally {
        spent.ms += performance.now() - began;
        spent.calls += 1;
      }
    };
    tf.registerKernel({ ...stock, kernelFunc });
  }
  const reset = () => {
    for (const one of kernels.values()) Object.assign(one, { calls: 0, ms: 0 });
    products.clear();
  };
  return { kernels, products, reset };
}

/** Products of matrices: kernels of their own, or the first thing that encoding does. */
function countProduct(products, name, { inputs, attrs }) {
  const shape = SHAPES[name]?.(inputs, attrs);
  if (shape === undefined) return;
  const key = shape.join(" ");
  products.set(key, (products.get(key) ?? 0) + 1);
}

/** Batch, rows, inner size and columns of a kernel's product. */
const SHAPES = {
  [tf.BatchMatMul]: ({ a, b }, { transposeA, transposeB }) => [
    a.shape.length > 2 ? a.shape[0] : 1,
    ...(transposeA ? [a.shape.at(-1), a.shape.at(-2)] : a.shape.slice(-2)),
    transposeB ? b.shape.at(-2) : b.shape.at(-1),
  ],
  [SAE_KERNELS.encode]: ({ x, encoder }) => [1, ...x.shape, encoder.shape[1]],
  [SAE_KERNELS.changes]: ({ x, encoder }) => [1, 2 * x.shape[0], x.shape[1], encoder.shape[1]],
};
