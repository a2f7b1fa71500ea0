/** @file The torch backend's kernels for SAE products that skip what does not fire; composed definitions are in src/sae. */
import * as tf from "@tensorflow/tfjs-core";
import type { TensorInfo } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { SAE_KERNELS } from "../../sae/active-features.js";
import type { Handle, TorchAddon } from "./torch-addon.js";
import { calling, TorchBackend } from "./torch-backend.js";

/** A kernel of named inputs: handles in, tensors out. */
type SaeKernel = (
  torch: TorchBackend,
  addon: TorchAddon,
  handle: (name: string) => Handle,
  shape: (name: string) => number[],
) => TensorInfo | TensorInfo[];

const encodeActive: SaeKernel = (torch, addon, handle, shape) => {
  const rows = must(shape("x")[0], "rows");
  const [pointer, feature, value] = addon.encodeActive(handle("x"), handle("encoder"), handle("bias"), handle("gate"));
  const count = addon.sizeOf(feature);
  return [
    torch.adopt(pointer, [rows + 1], "int32"),
    torch.adopt(feature, [count], "int32"),
    torch.adopt(value, [count], "float32"),
  ];
};

const decodeActive: SaeKernel = (torch, addon, handle, shape) => {
  const size = [must(shape("pointer")[0], "rows") - 1, must(shape("decoder")[1], "width")];
  const sum = addon.decodeActive(handle("pointer"), handle("feature"), handle("value"), handle("decoder"));
  return torch.adopt(sum, size, "float32");
};

const decoderDots: SaeKernel = (torch, addon, handle, shape) => {
  const dots = addon.decoderDots(handle("pointer"), handle("feature"), handle("decoder"), handle("gradient"));
  return torch.adopt(dots, shape("feature"), "float32");
};

/** Registers them; call once. */
export function registerSaeKernels(backendName: string): void {
  const kernels = [
    [SAE_KERNELS.encode, encodeActive],
    [SAE_KERNELS.decode, decodeActive],
    [SAE_KERNELS.dots, decoderDots],
  ] as const;
  for (const [kernelName, kernel] of kernels)
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, backend }) => {
        const torch = must(TorchBackend.of(backend), "the torch backend");
        const input = (name: string): TensorInfo => must(inputs[name], name);
        const handle = (name: string): Handle => torch.handle(input(name));
        return calling(() => kernel(torch, torch.addon, handle, (name) => input(name).shape));
      },
    });
}
