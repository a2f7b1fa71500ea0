/** @file Finds and loads the native addon, and says what its functions are. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { PatchbayError } from "../base/errors.js";
import { TORCH_ADDON } from "./torch-probe.js";

/** A tensor inside the addon. */
export type Handle = number;

/** Numbers of the dtypes that tensors can have, as the addon knows them. */
export const TORCH_DTYPES: Readonly<Record<string, number>> = { float32: 0, int32: 1, bool: 2, bfloat16: 3 };

type Unary = (x: Handle) => Handle;
type Binary = (a: Handle, b: Handle) => Handle;
type AttentionSizes = readonly [batch: number, heads: number, kvHeads: number, scale: number, cap: number];
type Reduction = (x: Handle, keepAxes: boolean, ...axes: number[]) => Handle;

/**
 * The addon's functions. A function that gives a handle gives a new tensor, which its receiver drops; views share memory.
 * They throw errors with a `code`: `out_of_memory` or `application`.
 */
export interface TorchAddon {
  /** Copies the values. */
  create(values: ArrayBufferView, dtype: number, ...shape: number[]): Handle;
  /** Copies the values into an array of their number. */
  readInto(x: Handle, values: ArrayBufferView): void;
  drop(x: Handle): void;
  cast(x: Handle, dtype: number): Handle;
  /**
   * Reads an array of a file on another thread. What is stored as it is wanted, without a checksum, is mapped: the tensor's memory is
   * the file's (on a GPU a copy of it).
   * @param checkedFrom where the bytes begin that the checksum covers; -1: there is none.
   */
  load(
    path: string,
    start: number,
    stored: number,
    wanted: number,
    checkedFrom: number,
    crc32: number,
    ...shape: number[]
  ): Promise<Handle>;
  /** The device of all tensors from now on; call before the first. */
  useDevice(name: "cpu" | "cuda"): void;
  /** Why there is no GPU to use; empty where there is one. */
  gpuProblem(): string;
  /** Returns when the device has done all that it was given. */
  synchronize(): void;
  /** Whether float32 products on a GPU may round their factors to TF32. */
  allowTf32(allow: boolean): void;
  fill(value: number, dtype: number, ...shape: number[]): Handle;
  setThreads(count: number): void;
  threads(): number;
  /** libtorch's version. */
  version(): string;
  /** Widest vector instructions of this machine. */
  processor(): string;
  liveTensors(): number;
  /** Bytes of live tensors; views count once. */
  liveBytes(): number;
  peakBytes(): number;
  /** Allocations that would take the live bytes above this fail as out of memory; 0 is no limit. */
  limitBytes(bytes: number): void;
  neg: Unary;
  abs: Unary;
  exp: Unary;
  log: Unary;
  sqrt: Unary;
  rsqrt: Unary;
  square: Unary;
  relu: Unary;
  sigmoid: Unary;
  tanh: Unary;
  step(x: Handle, atMostZero: number): Handle;
  softmax(x: Handle, axis: number): Handle;
  reshape(x: Handle, ...shape: number[]): Handle;
  transpose(x: Handle, ...axes: number[]): Handle;
  tile(x: Handle, ...repeats: number[]): Handle;
  max: Reduction;
  mean: Reduction;
  sum: Reduction;
  add: Binary;
  sub: Binary;
  mul: Binary;
  div: Binary;
  maximum: Binary;
  minimum: Binary;
  pow: Binary;
  equal: Binary;
  greater: Binary;
  greaterEqual: Binary;
  less: Binary;
  select(condition: Handle, a: Handle, b: Handle): Handle;
  concat(parts: Int32Array, axis: number): Handle;
  matMul(a: Handle, b: Handle, transposeA: boolean, transposeB: boolean): Handle;
  slice(x: Handle, ...beginsThenSizes: number[]): Handle;
  pad(x: Handle, value: number, ...beforeAndAfterOfEachAxis: number[]): Handle;
  gather(x: Handle, indices: Handle, axis: number): Handle;
  /** Numbers in a tensor. */
  sizeOf(x: Handle): number;
  /** Pointer, feature and value of what fires. */
  encodeActive(x: Handle, encoder: Handle, bias: Handle, gate: Handle): readonly [Handle, Handle, Handle];
  /** Pointer, feature and value of what changes from x to y. */
  encodeChanges(
    ...inputs: [x: Handle, y: Handle, encoder: Handle, bias: Handle, gate: Handle]
  ): readonly [Handle, Handle, Handle];
  decodeActive(pointer: Handle, feature: Handle, value: Handle, decoder: Handle): Handle;
  /** As decodeActive, and the dot product of each entry's decoder row with its row of the gradient. */
  scoreActive(
    ...inputs: [pointer: Handle, feature: Handle, value: Handle, decoder: Handle, gradient: Handle]
  ): readonly [Handle, Handle];
  rmsNorm(x: Handle, gain: Handle, eps: number): Handle;
  rmsNormGradient(dy: Handle, x: Handle, gain: Handle, eps: number): Handle;
  geluTimes(gate: Handle, up: Handle): Handle;
  geluTimesGradient(dy: Handle, gate: Handle, up: Handle): readonly [Handle, Handle];
  /** `direction` is 1, or -1 to turn back. */
  rope(x: Handle, cos: Handle, sin: Handle, direction: number): Handle;
  attention(q: Handle, k: Handle, v: Handle, mask: Handle, ...sizes: AttentionSizes): Handle;
  attentionGradient(
    dy: Handle,
    q: Handle,
    k: Handle,
    v: Handle,
    mask: Handle,
    ...sizes: AttentionSizes
  ): readonly [Handle, Handle, Handle];
  /** @returns value and moments after a step; `epsilon` stands beside the square root. */
  adam(
    value: Handle,
    first: Handle,
    second: Handle,
    gradient: Handle,
    beta1: number,
    beta2: number,
    rate: number,
    epsilon: number,
  ): readonly [Handle, Handle, Handle];
  oneHot(indices: Handle, depth: number, on: number, off: number): Handle;
}

/**
 * Loads the addon. libtorch takes its thread settings from the environment at this moment: OMP_NUM_THREADS, and
 * OMP_WAIT_POLICY=passive, without which the threads of several engines spin against each other.
 *
 * @throws PatchbayError `not_built` when it has not been built, or does not load, with what to do.
 */
export function loadTorchAddon(file: string = TORCH_ADDON): TorchAddon {
  if (!existsSync(file))
    throw new PatchbayError(
      "not_built",
      'backend "torch" is not built here: run patchbay doctor --build torch, or use "wasm"',
    );
  try {
    return createRequire(import.meta.url)(file) as TorchAddon;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const text = `backend "torch" does not load: ${why}. Run patchbay doctor --build torch --force, or use "wasm"`;
    throw new PatchbayError("not_built", text, { cause });
  }
}
