/** @file The torch backend's kernels that tfjs does not have: SAE products that skip what does not fire, fused parts of a layer, and Adam. */
import * as tf from "@tensorflow/tfjs-core";
import type { TensorInfo } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { ADAM_KERNEL } from "../model/adam-step.js";
import { LAYER_KERNELS } from "../model/layer-kernels.js";
import { SAE_KERNELS } from "../sae/active-features.js";
import type { Handle, TorchAddon } from "./torch-addon.js";
import { calling, TorchBackend } from "./torch-backend.js";

/** A call of a kernel, with its inputs and attributes by name. */
interface Call {
  readonly torch: TorchBackend;
  readonly addon: TorchAddon;
  readonly handle: (name: string) => Handle;
  readonly shape: (name: string) => number[];
  readonly attribute: (name: string) => number;
}

/** A kernel of named inputs: handles in, tensors out. */
type OwnKernel = (call: Call) => TensorInfo | TensorInfo[];

/** Pointer, feature and value of lists of flat rows. */
function adoptLists(torch: TorchBackend, addon: TorchAddon, lists: readonly [Handle, Handle, Handle], rows: number) {
  const [pointer, feature, value] = lists;
  const count = addon.sizeOf(feature);
  return [
    torch.adopt(pointer, [rows + 1], "int32"),
    torch.adopt(feature, [count], "int32"),
    torch.adopt(value, [count], "float32"),
  ];
}

const encodeActive: OwnKernel = ({ torch, addon, handle, shape }) => {
  const lists = addon.encodeActive(handle("x"), handle("encoder"), handle("bias"), handle("gate"));
  return adoptLists(torch, addon, lists, must(shape("x")[0], "rows"));
};

const encodeChanges: OwnKernel = ({ torch, addon, handle, shape }) => {
  const runs = [handle("x"), handle("y")] as const;
  const lists = addon.encodeChanges(...runs, handle("encoder"), handle("bias"), handle("gate"));
  return adoptLists(torch, addon, lists, must(shape("x")[0], "rows"));
};

const decodeActive: OwnKernel = ({ torch, addon, handle, shape }) => {
  const size = [must(shape("pointer")[0], "rows") - 1, must(shape("decoder")[1], "width")];
  const sum = addon.decodeActive(handle("pointer"), handle("feature"), handle("value"), handle("decoder"));
  return torch.adopt(sum, size, "float32");
};

const scoreActive: OwnKernel = ({ torch, addon, handle, shape }) => {
  const lists = [handle("pointer"), handle("feature"), handle("value")] as const;
  const [sum, dots] = addon.scoreActive(...lists, handle("decoder"), handle("gradient"));
  return [torch.adopt(sum, shape("gradient"), "float32"), torch.adopt(dots, shape("feature"), "float32")];
};

const norm: OwnKernel = ({ torch, addon, handle, shape, attribute }) =>
  torch.adopt(addon.rmsNorm(handle("x"), handle("gain"), attribute("eps")), shape("x"), "float32");

const normGradient: OwnKernel = ({ torch, addon, handle, shape, attribute }) => {
  const dx = addon.rmsNormGradient(handle("dy"), handle("x"), handle("gain"), attribute("eps"));
  return torch.adopt(dx, shape("x"), "float32");
};

const geluTimes: OwnKernel = ({ torch, addon, handle, shape }) =>
  torch.adopt(addon.geluTimes(handle("gate"), handle("up")), shape("gate"), "float32");

const geluTimesGradient: OwnKernel = ({ torch, addon, handle, shape }) =>
  addon
    .geluTimesGradient(handle("dy"), handle("gate"), handle("up"))
    .map((gradient) => torch.adopt(gradient, shape("gate"), "float32"));

const rope: OwnKernel = ({ torch, addon, handle, shape, attribute }) =>
  torch.adopt(addon.rope(handle("x"), handle("cos"), handle("sin"), attribute("direction")), shape("x"), "float32");

const attentionSizes = (attribute: (name: string) => number) =>
  [attribute("batch"), attribute("heads"), attribute("kvHeads"), attribute("scale"), attribute("cap")] as const;

const attention: OwnKernel = ({ torch, addon, handle, shape, attribute }) => {
  const inputs = [handle("q"), handle("k"), handle("v"), handle("mask")] as const;
  return torch.adopt(addon.attention(...inputs, ...attentionSizes(attribute)), shape("q"), "float32");
};

const attentionGradient: OwnKernel = ({ torch, addon, handle, shape, attribute }) => {
  const inputs = [handle("dy"), handle("q"), handle("k"), handle("v"), handle("mask")] as const;
  const [q, k, v] = addon.attentionGradient(...inputs, ...attentionSizes(attribute));
  return [
    torch.adopt(q, shape("q"), "float32"),
    torch.adopt(k, shape("k"), "float32"),
    torch.adopt(v, shape("v"), "float32"),
  ];
};

const adam: OwnKernel = ({ torch, addon, handle, shape, attribute }) =>
  addon
    .adam(
      handle("value"),
      handle("first"),
      handle("second"),
      handle("gradient"),
      attribute("beta1"),
      attribute("beta2"),
      attribute("rate"),
      attribute("epsilon"),
    )
    .map((after) => torch.adopt(after, shape("value"), "float32"));

/** Registers them; call once. */
export function registerOwnKernels(backendName: string): void {
  const kernels = [
    [SAE_KERNELS.encode, encodeActive],
    [SAE_KERNELS.changes, encodeChanges],
    [SAE_KERNELS.decode, decodeActive],
    [SAE_KERNELS.score, scoreActive],
    [LAYER_KERNELS.norm, norm],
    [LAYER_KERNELS.normGradient, normGradient],
    [LAYER_KERNELS.geluTimes, geluTimes],
    [LAYER_KERNELS.geluTimesGradient, geluTimesGradient],
    [LAYER_KERNELS.rope, rope],
    [LAYER_KERNELS.attention, attention],
    [LAYER_KERNELS.attentionGradient, attentionGradient],
    [ADAM_KERNEL, adam],
  ] as const;
  for (const [kernelName, kernel] of kernels)
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs, backend }) => {
        const torch = must(TorchBackend.of(backend), "the torch backend");
        const input = (name: string): TensorInfo => must(inputs[name], name);
        const handle = (name: string): Handle => torch.handle(input(name));
        const attribute = (name: string): number => must(attrs?.[name], name) as number;
        const shape = (name: string): number[] => input(name).shape;
        return calling(() => kernel({ torch, addon: torch.addon, handle, shape, attribute }));
      },
    });
}
