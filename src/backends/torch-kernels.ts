/** @file The tfjs kernels of the torch backend: output shapes are found here, values in the addon. */
import * as tf from "@tensorflow/tfjs-core";
import type { DataType, KernelFunc, TensorInfo } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { Handle, TorchAddon } from "./torch-addon.js";
import { calling, TorchBackend } from "./torch-backend.js";

/** A kernel's inputs and attributes, with the backend at hand. */
interface Work {
  readonly torch: TorchBackend;
  readonly addon: TorchAddon;
  readonly input: (name: string) => TensorInfo;
  readonly handle: (name: string) => Handle;
  readonly attrs: Attributes;
}

/** Attributes of all kernels; each has those that tfjs documents for it. */
interface Attributes {
  readonly axis: number | number[];
  readonly reductionIndices: number | number[];
  readonly keepDims?: boolean;
  readonly dim: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly begin: number | number[];
  readonly size: number | number[];
  readonly numOrSizeSplits: number | number[];
  readonly batchDims: number;
  readonly paddings: [number, number][];
  readonly constantValue: number;
  readonly shape: number[];
  readonly perm: number[];
  readonly reps: number[];
  readonly alpha: number;
  readonly value: number;
  readonly dtype?: DataType;
  readonly depth: number;
  readonly onValue: number;
  readonly offValue: number;
}

type TorchKernel = (work: Work) => TensorInfo | TensorInfo[];

const UNARY = {
  [tf.Neg]: "neg",
  [tf.Abs]: "abs",
  [tf.Exp]: "exp",
  [tf.Log]: "log",
  [tf.Sqrt]: "sqrt",
  [tf.Rsqrt]: "rsqrt",
  [tf.Square]: "square",
  [tf.Relu]: "relu",
  [tf.Sigmoid]: "sigmoid",
  [tf.Tanh]: "tanh",
} as const;

const BINARY = {
  [tf.Add]: "add",
  [tf.Sub]: "sub",
  [tf.Multiply]: "mul",
  [tf.RealDiv]: "div",
  [tf.Maximum]: "maximum",
  [tf.Minimum]: "minimum",
  [tf.Pow]: "pow",
} as const;

const COMPARISON = {
  [tf.Equal]: "equal",
  [tf.Greater]: "greater",
  [tf.GreaterEqual]: "greaterEqual",
  [tf.Less]: "less",
} as const;

const REDUCTION = {
  [tf.Sum]: ["sum", "axis"],
  [tf.Mean]: ["mean", "axis"],
  [tf.Max]: ["max", "reductionIndices"],
} as const;

type Values<Names> = Names[keyof Names];

/** `axis` as axes counted from the front. */
function axesOf(axis: number | number[], shape: readonly number[]): number[] {
  return tf.util.parseAxisParam(axis, [...shape]);
}

function oneAxis(axis: number | number[], shape: readonly number[]): number {
  return must(axesOf(axis, shape)[0], "axis");
}

function unary(name: Values<typeof UNARY>): TorchKernel {
  return ({ torch, addon, input, handle }) => torch.adopt(addon[name](handle("x")), input("x").shape, input("x").dtype);
}

function binary(name: Values<typeof BINARY> | Values<typeof COMPARISON>, dtype?: DataType): TorchKernel {
  return ({ torch, addon, input, handle }) => {
    const [a, b] = [input("a"), input("b")];
    const shape = tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
    return torch.adopt(addon[name](handle("a"), handle("b")), shape, dtype ?? a.dtype);
  };
}

function reduction([name, attributeName]: Values<typeof REDUCTION>): TorchKernel {
  return ({ torch, addon, input, handle, attrs }) => {
    const x = input("x");
    const axes = axesOf(attrs[attributeName], x.shape);
    const keepDims = attrs.keepDims === true;
    const kept = x.shape.flatMap((size, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [size]));
    // No axes: libtorch would take that as all of them.
    if (axes.length === 0) return torch.adopt(addon.reshape(handle("x"), ...x.shape), kept, x.dtype);
    return torch.adopt(addon[name](handle("x"), keepDims, ...axes), kept, x.dtype);
  };
}

/** The same values in another shape: a view. */
function reshaped({ torch, addon, handle }: Work, name: string, x: TensorInfo, shape: number[]): TensorInfo {
  return torch.adopt(addon.reshape(handle(name), ...shape), shape, x.dtype);
}

/** A box of `x`. */
function boxOf({ torch, addon, handle }: Work, x: TensorInfo, begin: number[], size: number[]): TensorInfo {
  return torch.adopt(addon.slice(handle("x"), ...begin, ...size), size, x.dtype);
}

function softmax({ torch, addon, input, handle, attrs }: Work): TensorInfo {
  const x = input("logits");
  return torch.adopt(addon.softmax(handle("logits"), oneAxis(attrs.dim, x.shape)), x.shape, x.dtype);
}

function matMul({ torch, addon, input, handle, attrs }: Work): TensorInfo {
  const [a, b] = [input("a"), input("b")];
  const [transposeA, transposeB] = [attrs.transposeA, attrs.transposeB];
  const size = (x: TensorInfo, fromEnd: number): number => must(x.shape[x.shape.length - fromEnd], "axis");
  const stack = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const shape = [...stack, size(a, transposeA ? 1 : 2), size(b, transposeB ? 2 : 1)];
  return torch.adopt(addon.matMul(handle("a"), handle("b"), transposeA, transposeB), shape, a.dtype);
}

function slice(work: Work): TensorInfo {
  const x = work.input("x");
  const asked = [work.attrs.begin, work.attrs.size] as const;
  const [begin = [], size = []] = tf.slice_util.parseSliceParams(x, ...asked);
  tf.slice_util.assertParamsValid(x, begin, size);
  return boxOf(work, x, begin, size);
}

/** Lengths of the parts of an axis: a number of equal parts, or a list in which -1 is what is left. */
function partLengths(parts: number | number[], whole: number): number[] {
  if (typeof parts === "number") return Array.from({ length: parts }, () => whole / parts);
  const known = parts.reduce((sum, length) => sum + Math.max(0, length), 0);
  return parts.map((length) => (length < 0 ? whole - known : length));
}

function splitV(work: Work): TensorInfo[] {
  const x = work.input("x");
  const axis = oneAxis(work.attrs.axis, x.shape);
  let start = 0;
  return partLengths(work.attrs.numOrSizeSplits, must(x.shape[axis], "axis")).map((length) => {
    const begin = x.shape.map((_, i) => (i === axis ? start : 0));
    const size = x.shape.map((whole, i) => (i === axis ? length : whole));
    start += length;
    return boxOf(work, x, begin, size);
  });
}

function gather({ torch, addon, input, handle, attrs }: Work): TensorInfo {
  const [x, indices] = [input("x"), input("indices")];
  if (attrs.batchDims !== 0) throw new Error("bug: gather with batch axes is not built on torch");
  const axis = oneAxis(attrs.axis, x.shape);
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  return torch.adopt(addon.gather(handle("x"), handle("indices"), axis), shape, x.dtype);
}

function pad({ torch, addon, input, handle, attrs }: Work): TensorInfo {
  const x = input("x");
  const { paddings } = attrs;
  const shape = x.shape.map((size, i) => size + (paddings[i]?.[0] ?? 0) + (paddings[i]?.[1] ?? 0));
  return torch.adopt(addon.pad(handle("x"), attrs.constantValue, ...paddings.flat()), shape, x.dtype);
}

/** Inputs named 0, 1, 2 and so on. */
function list({ input }: Work, count: number): TensorInfo[] {
  return Array.from({ length: count }, (_, i) => input(String(i)));
}

function concat(work: Work, count: number): TensorInfo {
  const parts = list(work, count);
  const first = must(parts[0], "part").shape;
  const axis = oneAxis(work.attrs.axis, first);
  const shape = tf.backend_util.computeOutShape(
    parts.map((part) => part.shape),
    axis,
  );
  const handles = Int32Array.from(parts, (part) => work.torch.handle(part));
  return work.torch.adopt(work.addon.concat(handles, axis), shape, must(parts[0], "part").dtype);
}

function addN({ torch, addon }: Work, parts: readonly TensorInfo[]): TensorInfo {
  const [first, second, ...rest] = parts.map((part) => torch.handle(part));
  const { shape, dtype } = must(parts[0], "part");
  if (second === undefined) return torch.adopt(addon.reshape(must(first, "part"), ...shape), shape, dtype);
  let total = addon.add(must(first, "part"), second);
  for (const part of rest) {
    const before = total;
    total = addon.add(before, part);
    addon.drop(before);
  }
  return torch.adopt(total, shape, dtype);
}

/** Kernels of one tensor `x`, and those that need no more than a few lines. */
const OTHER: Readonly<Record<string, TorchKernel>> = {
  [tf.BatchMatMul]: matMul,
  [tf.Slice]: slice,
  [tf.SplitV]: splitV,
  [tf.GatherV2]: gather,
  [tf.PadV2]: pad,
  [tf.Softmax]: softmax,
  [tf.Identity]: ({ torch, input }) => {
    torch.incRef(input("x").dataId);
    return { ...pick(input("x")) };
  },
  [tf.Reshape]: (work) => {
    const x = work.input("x");
    const shape = tf.util.inferFromImplicitShape(work.attrs.shape, tf.util.sizeFromShape(x.shape));
    return reshaped(work, "x", x, shape);
  },
  [tf.ExpandDims]: (work) => {
    const x = work.input("input");
    const dim = work.attrs.dim;
    const at = dim < 0 ? x.shape.length + 1 + dim : dim;
    return reshaped(work, "input", x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
  },
  [tf.Transpose]: ({ torch, addon, input, handle, attrs }) => {
    const x = input("x");
    const axes = attrs.perm;
    return torch.adopt(
      addon.transpose(handle("x"), ...axes),
      axes.map((axis) => must(x.shape[axis], "axis")),
      x.dtype,
    );
  },
  [tf.Tile]: ({ torch, addon, input, handle, attrs }) => {
    const x = input("x");
    const times = attrs.reps;
    return torch.adopt(
      addon.tile(handle("x"), ...times),
      x.shape.map((size, i) => size * must(times[i], "axis")),
      x.dtype,
    );
  },
  [tf.Cast]: ({ torch, input, attrs }) => torch.cast(input("x"), must(attrs.dtype, "dtype")),
  [tf.Step]: ({ torch, addon, input, handle, attrs }) =>
    torch.adopt(addon.step(handle("x"), attrs.alpha), input("x").shape, input("x").dtype),
  [tf.Fill]: ({ torch, attrs }) => torch.filled(attrs.shape, attrs.value, attrs.dtype ?? "float32"),
  [tf.ZerosLike]: ({ torch, input }) => torch.filled(input("x").shape, 0, input("x").dtype),
  [tf.OnesLike]: ({ torch, input }) => torch.filled(input("x").shape, 1, input("x").dtype),
  [tf.OneHot]: ({ torch, addon, input, handle, attrs }) => {
    const depth = attrs.depth;
    const hot = addon.oneHot(handle("indices"), depth, attrs.onValue, attrs.offValue);
    const found = torch.adopt(hot, [...input("indices").shape, depth], "float32");
    const dtype = attrs.dtype ?? "int32";
    if (dtype === "float32") return found;
    const cast = torch.cast(found, dtype);
    torch.disposeData(found.dataId);
    return cast;
  },
  [tf.Select]: ({ torch, addon, input, handle }) =>
    torch.adopt(addon.select(handle("condition"), handle("t"), handle("e")), input("t").shape, input("t").dtype),
};

function pick({ dataId, shape, dtype }: TensorInfo): TensorInfo {
  return { dataId, shape, dtype };
}

function kernelFunc(kernel: (work: Work, count: number) => TensorInfo | TensorInfo[]): KernelFunc {
  return ({ inputs, attrs, backend }) => {
    const torch = must(TorchBackend.of(backend), "the torch backend");
    const input = (name: string): TensorInfo => must(inputs[name], name);
    const work: Work = {
      torch,
      addon: torch.addon,
      input,
      handle: (name) => torch.handle(input(name)),
      attrs: attrs as unknown as Attributes,
    };
    return calling(() => kernel(work, Object.keys(inputs).length));
  };
}

/** Registers every kernel; call once. */
export function registerTorchKernels(backendName: string): void {
  const register = (kernelName: string, kernel: Parameters<typeof kernelFunc>[0]): void => {
    tf.registerKernel({ kernelName, backendName, kernelFunc: kernelFunc(kernel) });
  };
  for (const [kernelName, name] of Object.entries(UNARY)) register(kernelName, unary(name));
  for (const [kernelName, name] of Object.entries(BINARY)) register(kernelName, binary(name));
  for (const [kernelName, name] of Object.entries(COMPARISON)) register(kernelName, binary(name, "bool"));
  for (const [kernelName, names] of Object.entries(REDUCTION)) register(kernelName, reduction(names));
  for (const [kernelName, kernel] of Object.entries(OTHER)) register(kernelName, kernel);
  register(tf.Concat, concat);
  register(tf.AddN, (work, count) => addN(work, list(work, count)));
}
