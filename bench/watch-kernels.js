// Counts and times every kernel of a backend: adds a few hundred nanoseconds to each.
import * as tf from "@tensorflow/tfjs-core";

/** Starts to watch. @returns calls and milliseconds by kernel, and how often each shape of product came (`batch m k n`). */
export function watchKernels(backend) {
  const kernels = new Map();
  const products = new Map();
  for (const stock of tf.getKernelsForBackend(backend)) {
    tf.unregisterKernel(stock.kernelName, backend);
    const spent = { calls: 0, ms: 0 };
    kernels.set(stock.kernelName, spent);
    const kernelFunc = (args) => {
      if (stock.kernelName === tf.BatchMatMul) countProduct(products, args);
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

function countProduct(products, { inputs: { a, b }, attrs }) {
  const batch = a.shape.length > 2 ? a.shape[0] : 1;
  const [m, k] = attrs.transposeA ? [a.shape.at(-1), a.shape.at(-2)] : a.shape.slice(-2);
  const key = [batch, m, k, attrs.transposeB ? b.shape.at(-2) : b.shape.at(-1)].join(" ");
  products.set(key, (products.get(key) ?? 0) + 1);
}
