/**
 * @file Gradients of the tfjs kernels that Patchbay differentiates. tfjs-core exports none of its own to Node's ESM loader.
 *
 * They differ from tfjs's in one place: the gradient of a 2-D matMul transposes explicitly, because a matMul with a
 * transpose flag leaves the wasm backend's fast path (ten times slower).
 */
import * as tf from "@tensorflow/tfjs-core";
import type { GradConfig, GradFunc, Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { LAYER_KERNELS, runKernel, runKernelOfMany } from "../model/layer-kernels.js";

type Inputs = readonly Tensor[];
type NamedGradientMap = ReturnType<GradFunc>;
type Attributes = Parameters<GradFunc>[2];

interface Rule {
  readonly inputs?: readonly string[];
  readonly outputs?: boolean;
  /** `saved` holds the inputs to save in order, then the outputs. */
  gradient(dy: Tensor, saved: Inputs, attributes: Attributes): NamedGradientMap;
}

const at = (tensors: Inputs, index: number): Tensor => must(tensors[index], `saved tensor ${String(index)}`);

/** Sums `gradient` over the axes along which an input of `shape` was broadcast. */
function unbroadcast(gradient: Tensor, shape: readonly number[]): Tensor {
  const axes = tf.broadcast_util.getReductionAxes([...shape], gradient.shape);
  return tf.reshape(axes.length > 0 ? tf.sum(gradient, axes) : gradient, [...shape]);
}

/** Spreads the gradient of a sum back over the axes that were summed. */
function spread(dy: Tensor, shape: readonly number[], axis: unknown): Tensor {
  const axes = tf.util.parseAxisParam(axis as number | number[], [...shape]);
  const kept = shape.map((size, i) => (axes.includes(i) ? 1 : size));
  return tf.mul(tf.reshape(dy, kept), tf.ones([...shape]));
}

const flip = (x: Tensor): Tensor => tf.transpose(x);

function matMulGradient(dy: Tensor, saved: Inputs, attributes: Attributes): NamedGradientMap {
  const [a, b] = [at(saved, 0), at(saved, 1)];
  const { transposeA, transposeB } = attributes as { transposeA: boolean; transposeB: boolean };
  if (transposeA || transposeB)
    throw new Error("bug: matMul with a transpose flag has no gradient here; transpose first");
  if (a.rank === 2) return { a: () => tf.matMul(dy, flip(b)), b: () => tf.matMul(flip(a), dy) };
  return { a: () => tf.matMul(dy, b, false, true), b: () => tf.matMul(a, dy, true, false) };
}

/** Gradient of a slice: zeros around dy. */
function sliceGradient(dy: Tensor, saved: Inputs, attributes: Attributes): NamedGradientMap {
  const whole = at(saved, 0).shape;
  const begin = attributes["begin"] as number | number[];
  const starts = typeof begin === "number" ? [begin, ...whole.slice(1).map(() => 0)] : begin;
  const paddings = whole.map((size, i): [number, number] => {
    const start = starts[i] ?? 0;
    return [start, size - start - must(dy.shape[i], "axis")];
  });
  return { x: () => tf.pad(dy, paddings) };
}

const BINARY: Record<string, Rule> = {
  [tf.Add]: {
    inputs: ["a", "b"],
    gradient: (dy, saved) => ({
      a: () => unbroadcast(dy, at(saved, 0).shape),
      b: () => unbroadcast(dy, at(saved, 1).shape),
    }),
  },
  [tf.Sub]: {
    inputs: ["a", "b"],
    gradient: (dy, saved) => ({
      a: () => unbroadcast(dy, at(saved, 0).shape),
      b: () => unbroadcast(tf.neg(dy), at(saved, 1).shape),
    }),
  },
  [tf.Multiply]: {
    inputs: ["a", "b"],
    gradient: (dy, saved) => ({
      a: () => unbroadcast(tf.mul(dy, at(saved, 1)), at(saved, 0).shape),
      b: () => unbroadcast(tf.mul(dy, at(saved, 0)), at(saved, 1).shape),
    }),
  },
  [tf.RealDiv]: {
    inputs: ["a", "b"],
    gradient: (dy, saved) => ({
      a: () => unbroadcast(tf.div(dy, at(saved, 1)), at(saved, 0).shape),
      b: () => unbroadcast(tf.neg(tf.div(tf.mul(dy, at(saved, 0)), tf.square(at(saved, 1)))), at(saved, 1).shape),
    }),
  },
  [tf.BatchMatMul]: { inputs: ["a", "b"], gradient: matMulGradient },
};

const UNARY: Record<string, Rule> = {
  [tf.Neg]: { gradient: (dy) => ({ x: () => tf.neg(dy) }) },
  [tf.Identity]: { gradient: (dy) => ({ x: () => tf.clone(dy) }) },
  [tf.Cast]: { gradient: (dy) => ({ x: () => tf.clone(dy) }) },
  [tf.Square]: {
    inputs: ["x"],
    gradient: (dy, saved) => ({ x: () => tf.mul(dy, tf.mul(at(saved, 0), 2)) }),
  },
  [tf.Exp]: { outputs: true, gradient: (dy, saved) => ({ x: () => tf.mul(dy, at(saved, 0)) }) },
  [tf.Log]: { inputs: ["x"], gradient: (dy, saved) => ({ x: () => tf.div(dy, at(saved, 0)) }) },
  [tf.Relu]: { inputs: ["x"], gradient: (dy, saved) => ({ x: () => tf.mul(dy, tf.step(at(saved, 0))) }) },
  [tf.Rsqrt]: {
    outputs: true,
    gradient: (dy, saved) => ({
      x: () => tf.mul(dy, tf.mul(tf.mul(tf.square(at(saved, 0)), at(saved, 0)), -0.5)),
    }),
  },
  [tf.Sqrt]: { outputs: true, gradient: (dy, saved) => ({ x: () => tf.div(dy, tf.mul(at(saved, 0), 2)) }) },
  [tf.Sigmoid]: {
    outputs: true,
    gradient: (dy, saved) => ({ x: () => tf.mul(dy, tf.mul(at(saved, 0), tf.sub(1, at(saved, 0)))) }),
  },
  [tf.Tanh]: {
    outputs: true,
    gradient: (dy, saved) => ({ x: () => tf.mul(dy, tf.sub(1, tf.square(at(saved, 0)))) }),
  },
};

const REDUCTION: Record<string, Rule> = {
  [tf.Sum]: {
    inputs: ["x"],
    gradient: (dy, saved, attributes) => ({ x: () => spread(dy, at(saved, 0).shape, attributes["axis"]) }),
  },
  [tf.Mean]: {
    inputs: ["x"],
    gradient: (dy, saved, attributes) => ({
      x: () => {
        const count = at(saved, 0).size / dy.size;
        return spread(tf.div(dy, count), at(saved, 0).shape, attributes["axis"]);
      },
    }),
  },
  [tf.Softmax]: {
    outputs: true,
    gradient: (dy, saved) => ({
      logits: () => {
        const y = at(saved, 0);
        const dyY = tf.mul(dy, y);
        return tf.sub(dyY, tf.mul(tf.sum(dyY, -1, true), y));
      },
    }),
  },
  [tf.LogSoftmax]: {
    outputs: true,
    gradient: (dy, saved) => ({
      logits: () => tf.sub(dy, tf.mul(tf.sum(dy, -1, true), tf.exp(at(saved, 0)))),
    }),
  },
};

const SHAPE: Record<string, Rule> = {
  [tf.Reshape]: {
    inputs: ["x"],
    gradient: (dy, saved) => ({ x: () => tf.reshape(dy, at(saved, 0).shape) }),
  },
  [tf.ExpandDims]: {
    inputs: ["input"],
    gradient: (dy, saved) => ({ input: () => tf.reshape(dy, at(saved, 0).shape) }),
  },
  [tf.Transpose]: {
    gradient: (dy, _saved, attributes) => ({
      x: () => tf.transpose(dy, tf.backend_util.getUndoAxesPermutation(attributes["perm"] as number[])),
    }),
  },
  [tf.Slice]: { inputs: ["x"], gradient: sliceGradient },
};

/** Kernels of our own. Weights and tables are constants, but for a norm's gain. */
const LAYER: Record<string, Rule> = {
  [LAYER_KERNELS.norm]: {
    inputs: ["x", "gain"],
    gradient: (dy, saved, attributes) => ({
      x: () => runKernel(LAYER_KERNELS.normGradient, { dy, x: at(saved, 0), gain: at(saved, 1) }, attributes),
      gain: () => {
        const x = at(saved, 0);
        const scale = tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), attributes["eps"] as number));
        return unbroadcast(tf.mul(dy, tf.mul(x, scale)), at(saved, 1).shape);
      },
    }),
  },
  [LAYER_KERNELS.geluTimes]: {
    inputs: ["gate", "up"],
    gradient: (dy, saved) => {
      const [gate, up] = runKernelOfMany(LAYER_KERNELS.geluTimesGradient, { dy, gate: at(saved, 0), up: at(saved, 1) });
      return { gate: () => must(gate, "gradient"), up: () => must(up, "gradient") };
    },
  },
  [LAYER_KERNELS.attention]: {
    inputs: ["q", "k", "v", "mask"],
    gradient: (dy, saved, attributes) => {
      const inputs = { dy, q: at(saved, 0), k: at(saved, 1), v: at(saved, 2), mask: at(saved, 3) };
      const [q, k, v] = runKernelOfMany(LAYER_KERNELS.attentionGradient, inputs, attributes);
      return { q: () => must(q, "gradient"), k: () => must(k, "gradient"), v: () => must(v, "gradient") };
    },
  },
  [LAYER_KERNELS.rope]: {
    inputs: ["cos", "sin"],
    gradient: (dy, saved) => ({
      x: () => runKernel(LAYER_KERNELS.rope, { x: dy, cos: at(saved, 0), sin: at(saved, 1) }, { direction: -1 }),
    }),
  },
};

/** Concat and SplitV take or give lists, so tfjs's own `saveAllInputs` and array dy are needed. */
const LISTS: readonly GradConfig[] = [
  {
    kernelName: tf.Concat,
    saveAllInputs: true,
    gradFunc: (dy: Tensor | Tensor[], saved: Tensor[], attributes: Attributes) => {
      const shapes = saved.map((tensor) => tensor.shape);
      const axis = must(tf.util.parseAxisParam(attributes["axis"] as number, must(shapes[0], "input"))[0], "axis");
      const sizes = shapes.map((shape) => must(shape[axis], "axis"));
      const parts = tf.split(dy as Tensor, sizes, axis);
      return parts.map((part) => () => part) as unknown as NamedGradientMap;
    },
  },
  {
    kernelName: tf.SplitV,
    gradFunc: (dy: Tensor | Tensor[], _saved: Tensor[], attributes: Attributes) => ({
      x: () => tf.concat(dy as Tensor[], attributes["axis"] as number),
    }),
  },
];

function gradConfig(kernelName: string, rule: Rule): GradConfig {
  return {
    kernelName,
    inputsToSave: [...(rule.inputs ?? [])],
    outputsToSave: rule.outputs === true ? [true] : [],
    gradFunc: (dy, saved, attributes) => rule.gradient(dy as Tensor, saved, attributes),
  };
}

/** Registers every gradient, in place of any that a package of tfjs registered. */
export function registerGradients(): void {
  for (const rules of [BINARY, UNARY, REDUCTION, SHAPE, LAYER])
    for (const [kernel, rule] of Object.entries(rules)) tf.registerGradient(gradConfig(kernel, rule));
  for (const config of LISTS) tf.registerGradient(config);
}
