/**
 * @file The key of shape suffixes, and the check that a tensor has the shape its name says.
 *
 * B prompt, T position, R row, S source position, D model width, N head, K key/value head, H head width, Z = N x H, M MLP
 * width, F SAE feature, V vocabulary token, A answer token, L layer. Rows are flat: row `b * T + t` is position t of prompt b.
 */
import type { Tensor } from "@tensorflow/tfjs-core";
import { assert } from "../base/assert.js";

/** Sizes of `tensor`, one for each letter of `suffix`. A wrong rank is a bug of ours. */
export function shapeOf<const Suffix extends string>(tensor: Tensor, suffix: Suffix): SizesOf<Suffix> {
  assert(tensor.rank === suffix.length, `expected a tensor of shape ${suffix}, got [${tensor.shape.join(", ")}]`);
  return tensor.shape as number[] as SizesOf<Suffix>;
}

/** A tuple with one number for each letter. */
export type SizesOf<Suffix extends string> = Suffix extends `${string}${infer Rest}` ? [number, ...SizesOf<Rest>] : [];
