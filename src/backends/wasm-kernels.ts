/**
 * @file Faster gather and slice for the wasm backend, with the same values.
 *
 * Its own gather works out every element's address anew (30 times slower than copying rows), and its slice first copies the
 * whole source. Both are copies of runs of numbers inside the wasm heap.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { KernelConfig, KernelFunc, TensorInfo } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";

type Numbers = Float32Array | Int32Array | Uint8Array;

/** The part of the wasm backend that the kernels use. */
interface WasmHeap {
  makeOutput(shape: number[], dtype: string): TensorInfo;
  /** A view: valid until the next allocation. */
  typedArrayFromHeap(tensor: TensorInfo): Numbers;
}

type Arguments = Parameters<KernelFunc>[0];

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** Copies `count` numbers inside the heap. */
function copy(target: Numbers, to: number, source: Numbers, from: number, count: number): void {
  if (count > 8) target.set(source.subarray(from, from + count), to);
  else for (let i = 0; i < count; i++) target[to + i] = source[from + i] ?? 0;
}

/** `x` at the given indexes of one axis. */
function gather({ inputs, attrs, backend }: Arguments): TensorInfo {
  const heap = backend as WasmHeap;
  const x = must(inputs["x"], "x");
  const indices = must(inputs["indices"], "indices");
  const axis = must(tf.util.parseAxisParam(attrs?.["axis"] as number, x.shape)[0], "axis");
  const size = must(x.shape[axis], "axis");
  const outer = product(x.shape.slice(0, axis));
  const inner = product(x.shape.slice(axis + 1));
  const out = heap.makeOutput([...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)], x.dtype);
  const source = heap.typedArrayFromHeap(x);
  const index = heap.typedArrayFromHeap(indices);
  const target = heap.typedArrayFromHeap(out);
  for (const i of index)
    if (i < 0 || i >= size) throw new Error(`bug: index ${String(i)} of an axis of ${String(size)}`);
  for (let o = 0, to = 0; o < outer; o++)
    for (let n = 0; n < index.length; n++, to += inner)
      copy(target, to, source, (o * size + (index[n] ?? 0)) * inner, inner);
  return out;
}

/** A box of `x`. */
function slice({ inputs, attrs, backend }: Arguments): TensorInfo {
  const heap = backend as WasmHeap;
  const x = must(inputs["x"], "x");
  const params = attrs as unknown as { begin: number[]; size: number[] };
  const [begin = [], size = []] = tf.slice_util.parseSliceParams(x, params.begin, params.size);
  const out = heap.makeOutput(size, x.dtype);
  const source = heap.typedArrayFromHeap(x);
  const target = heap.typedArrayFromHeap(out);
  const strides = x.shape.map((_, axis) => product(x.shape.slice(axis + 1)));
  let whole = x.shape.length; // Axes from here on are taken whole, so that they are copied at once with the axis before.
  while (whole > 0 && size[whole - 1] === x.shape[whole - 1]) whole -= 1;
  const axis = Math.max(0, whole - 1);
  const run = (size[axis] ?? 1) * (strides[axis] ?? 1);
  let to = 0;
  const walk = (depth: number, from: number): void => {
    const start = from + (begin[depth] ?? 0) * (strides[depth] ?? 1);
    if (depth === axis) {
      copy(target, to, source, start, run);
      to += run;
    } else for (let i = 0; i < (size[depth] ?? 0); i++) walk(depth + 1, start + i * (strides[depth] ?? 1));
  };
  if (target.length > 0) walk(0, 0);
  return out;
}

/** Puts `kernel` before the stock one, which still serves the cases that `serves` refuses. */
function replace(
  kernelName: string,
  kernel: (args: Arguments) => TensorInfo,
  serves: (args: Arguments) => boolean,
): void {
  const stock: KernelConfig = must(tf.getKernel(kernelName, "wasm"), `the wasm kernel ${kernelName}`);
  tf.unregisterKernel(kernelName, "wasm");
  tf.registerKernel({ ...stock, kernelFunc: (args) => (serves(args) ? kernel(args) : stock.kernelFunc(args)) });
}

/** Replaces the two kernels; call once, after the wasm backend is imported. */
export function registerWasmKernels(): void {
  const numeric = ({ inputs }: Arguments): boolean =>
    ["float32", "int32", "bool"].includes(must(inputs["x"], "x").dtype);
  replace(tf.GatherV2, gather, (args) => numeric(args) && args.attrs?.["batchDims"] === 0);
  replace(tf.Slice, slice, numeric);
}
