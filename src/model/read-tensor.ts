/** @file Float32 tensors to host arrays. */
import type { Tensor } from "@tensorflow/tfjs-core";

/** Values of a float32 tensor. */
export async function read(tensor: Tensor): Promise<Float32Array> {
  return (await tensor.data()) as Float32Array;
}

/** Values of a float32 tensor that is not needed any more. */
export async function readAndDispose(tensor: Tensor): Promise<Float32Array> {
  try {
    return await read(tensor);
  } finally {
    tensor.dispose();
  }
}
