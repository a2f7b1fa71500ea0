/** @file Which of the backends that were measured multiplies matrices fastest: what `--backend auto` takes for all but small models. */
import { isFloat32, type Measured } from "./backend-measures.js";

/** Torch has kernels of its own for most of what is not a product: another backend has to multiply this much faster. */
const TORCH_HEAD_START = 1.5;

/** The fastest of those that were measured and compute in float32; undefined where there is none. */
export function fastestBackend<T extends { readonly name: string } & Measured>(
  candidates: readonly T[],
): T | undefined {
  const rated = candidates.flatMap((one) => {
    if (one.measures === undefined || !isFloat32(one.measures)) return [];
    return [{ one, rate: one.measures.gemm_gflops * (one.name === "torch" ? TORCH_HEAD_START : 1) }];
  });
  return rated.sort((a, b) => b.rate - a.rate)[0]?.one;
}
