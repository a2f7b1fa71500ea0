/** @file The backend that the numeric suites run on, and what it promises about bits. */
import { expect } from "vitest";
import { BACKENDS, type Backend } from "../../src/backends/backend-probe.js";
import "./matchers.js";

/** A vitest project for each backend sets PATCHBAY_TEST_BACKEND. */
export const TEST_BACKEND: Backend = BACKENDS.find((name) => name === process.env["PATCHBAY_TEST_BACKEND"]) ?? "wasm";

/** Tensors are a GPU's: kernels of our own, which read the host's memory, and limits on that memory are not for them. */
export const ON_GPU = process.env["PATCHBAY_TORCH_DEVICE"] === "cuda";

/** The backend has kernels of our own. */
export const OWN_KERNELS = TEST_BACKEND === "torch" && !ON_GPU;

/** How far results from other block shapes may lie apart, relative to the largest: GEMM libraries round by shape. */
export const BLOCK_RTOL = TEST_BACKEND === "wasm" ? 1e-6 : 1e-5;

/**
 * Results of one computation in two block shapes. On wasm a row's bits do not depend on its block; the libraries behind torch and
 * tensorflow choose other loops for other row counts, so there they lie within {@link BLOCK_RTOL}.
 */
export function expectSameInAnyBlock(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  if (TEST_BACKEND === "wasm") expect(Array.from(actual)).toEqual(Array.from(expected));
  else expect(actual).toBeAllclose(expected, { rtol: BLOCK_RTOL, atol: 0 });
}
