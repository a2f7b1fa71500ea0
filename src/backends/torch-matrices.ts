/**
 * @file Weight matrices on torch: read from the file, checked and brought to their type on threads of the addon's, so that a walk's next
 * weights come while it computes. Where the file holds the type that is wanted, its pages are the tensor's memory.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { PatchbayError } from "../base/errors.js";
import { FLOAT32_MATRICES, matrixShape, type MatrixLoader } from "../model/matrices.js";
import type { ArrayPlace, StoredArray } from "../weights/stored-array.js";
import { TORCH_DTYPES, type Handle } from "./torch-addon.js";
import { calling, TorchBackend } from "./torch-backend.js";

/** Compute types. */
export type ComputeType = "float32" | "bfloat16";

/** Ours for the types that the addon reads, by safetensors' names. */
const STORED: Readonly<Record<string, ComputeType>> = { F32: "float32", BF16: "bfloat16" };

/** The loader of the backend that is on. @throws PatchbayError `not_built` for bfloat16 on another backend than torch. */
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
  const asTensor = (handle: Handle, shape: number[]): Tensor =>
    tf.engine().makeTensorFromTensorInfo(torch.adopt(handle, shape, "float32"));
  const narrowed = (values: Float32Array, shape: [number, number], wanted: ComputeType): Tensor => {
    const wide = tf.tensor2d(values, shape);
    if (wanted === "float32") return wide;
    const narrow = calling(() => torch.addon.cast(torch.handle(wide), codeOf(wanted)));
    wide.dispose();
    return asTensor(narrow, shape);
  };
  const load = async (array: StoredArray, wanted: ComputeType): Promise<Tensor> => {
    const { place } = array;
    const stored = place === null ? undefined : STORED[place.dtype];
    const shape = matrixShape(array);
    if (place === null || stored === undefined) return narrowed(await array.read(), shape, wanted);
    const { start, crc32 } = place.checksum ?? { start: -1, crc32: 0 };
    const handle = await torch.addon
      .load(place.path, place.start, codeOf(stored), codeOf(wanted), start, crc32, ...shape)
      .catch((thrown: unknown) => {
        throw loadFault(thrown, place, array.name);
      });
    return asTensor(handle, shape);
  };
  return {
    bytesPerValue: dtype === "float32" ? 4 : 2,
    load: (array) => load(array, dtype),
    loadWide: (array) => load(array, "float32"),
    matrix: (values, shape) => narrowed(values, shape, dtype),
  };
}

function codeOf(dtype: ComputeType): number {
  return must(TORCH_DTYPES[dtype], dtype);
}

/** What the addon reports, with the file and the array. */
function loadFault(thrown: unknown, { path }: ArrayPlace, name: string): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const { code } = thrown as NodeJS.ErrnoException;
  if (code !== "bad_input" && code !== "non_finite" && code !== "out_of_memory") return thrown;
  return new PatchbayError(code, `${path}: ${name}: ${thrown.message}`, {
    cause: thrown,
    detail: { file: path, field: name },
  });
}
