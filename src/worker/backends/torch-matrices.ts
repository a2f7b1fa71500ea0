/** @file Weight matrices on torch: mapped from the file where it holds the compute type, in bfloat16 where that is asked for. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { PatchbayError } from "../../base/errors.js";
import { FLOAT32_MATRICES, matrixShape, type MatrixLoader } from "../../model/matrices.js";
import type { Checkpoint } from "../../weights/checkpoint.js";
import { TORCH_DTYPES, type Handle } from "./torch-addon.js";
import { calling, TorchBackend } from "./torch-backend.js";

/** Compute types. */
export type ComputeType = "float32" | "bfloat16";

/** What safetensors calls them. */
const STORED = { float32: "F32", bfloat16: "BF16" } as const;

/** The loader of the backend that is on. @throws not_built for bfloat16 on another backend than torch. */
export function matricesFor(dtype: ComputeType): MatrixLoader {
  const torch = TorchBackend.of(tf.backend());
  if (torch !== null) return torchMatrices(torch, dtype);
  if (dtype === "float32") return FLOAT32_MATRICES;
  throw new PatchbayError("not_built", `dtype: bfloat16 is not built on ${tf.getBackend()}; use --backend torch`);
}

/**
 * TensorFlow.js knows these tensors as float32. The addon multiplies by a bfloat16 matrix in bfloat16 and gives float32, so the
 * rest of the model is float32 whatever the weights are.
 */
function torchMatrices(torch: TorchBackend, dtype: ComputeType): MatrixLoader {
  const code = must(TORCH_DTYPES[dtype], dtype);
  const asTensor = (handle: Handle, shape: number[]): Tensor =>
    tf.engine().makeTensorFromTensorInfo(torch.adopt(handle, shape, "float32"));
  const matrix = (values: Float32Array, shape: [number, number]): Tensor => {
    const wide = tf.tensor2d(values, shape);
    if (dtype === "float32") return wide;
    const narrow = calling(() => torch.addon.cast(torch.handle(wide), code));
    wide.dispose();
    return asTensor(narrow, shape);
  };
  const mapped = (checkpoint: Checkpoint, name: string, shape: [number, number]): Tensor | null => {
    const place = checkpoint.place?.(name);
    if (place?.dtype !== STORED[dtype]) return null;
    const handle = calling(() => torch.addon.map(place.path, place.start, code, ...shape));
    const index = torch.addon.nonFinite(handle);
    if (index === -1) return asTensor(handle, shape);
    torch.addon.drop(handle);
    const text = `expected finite weights, got NaN or infinity at element ${String(index)}; the file is damaged`;
    const detail = { file: place.path, field: name };
    throw new PatchbayError("non_finite", `${place.path}: ${name}: ${text}`, { detail });
  };
  return {
    bytesPerValue: dtype === "float32" ? 4 : 2,
    matrix,
    transposed: async (checkpoint, name) => {
      const shape = matrixShape(checkpoint, name);
      const stored = mapped(checkpoint, name, shape) ?? matrix(await checkpoint.read(name), shape);
      return tf.tidy(() => {
        const view = tf.transpose(stored);
        stored.dispose();
        return view;
      });
    },
  };
}
