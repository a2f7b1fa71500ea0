/** @file The tfjs backend over libtorch: where tensors live, and when their memory is freed. */
import * as tf from "@tensorflow/tfjs-core";
import type { BackendValues, DataType, TensorInfo } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { PatchbayError } from "../base/errors.js";
import { TORCH_DTYPES, type Handle, type TorchAddon } from "./torch-addon.js";

type DataId = TensorInfo["dataId"];

/** Values of one data id, known to tfjs by one or more tensors of one shape. */
interface Held {
  readonly handle: Handle;
  readonly dtype: DataType;
  references: number;
}

/** Number of a dtype; an unknown one is an error of the program. */
function dtypeCode(dtype: DataType): number {
  return must(TORCH_DTYPES[dtype], `a torch dtype for ${dtype}`);
}

/** tfjs keeps no values: every tensor is an addon tensor of the same shape. */
export class TorchBackend extends tf.KernelBackend {
  readonly addon: TorchAddon;
  readonly #held: tf.DataStorage<Held>;

  constructor(addon: TorchAddon) {
    super();
    this.addon = addon;
    this.#held = new tf.DataStorage(this, tf.engine());
  }

  /** The backend that a kernel was called with, if it is this one. */
  static of(backend: unknown): TorchBackend | null {
    return backend instanceof TorchBackend ? backend : null;
  }

  /** The addon's tensor behind a tfjs tensor. */
  handle(tensor: TensorInfo): Handle {
    return this.#held.get(tensor.dataId).handle;
  }

  /** A tfjs tensor that owns an addon tensor. */
  adopt(handle: Handle, shape: number[], dtype: DataType): TensorInfo {
    const dataId = {};
    this.#held.set(dataId, { handle, dtype, references: 1 });
    return { dataId, shape, dtype };
  }

  /** A constant. */
  filled(shape: number[], value: number, dtype: DataType): TensorInfo {
    return this.adopt(this.addon.fill(value, dtypeCode(dtype), ...shape), shape, dtype);
  }

  cast(x: TensorInfo, dtype: DataType): TensorInfo {
    return this.adopt(this.addon.cast(this.handle(x), dtypeCode(dtype)), x.shape, dtype);
  }

  override write(values: BackendValues, shape: number[], dtype: DataType): DataId {
    const dataId = {};
    this.move(dataId, values, shape, dtype, 1);
    return dataId;
  }

  override move(dataId: DataId, values: BackendValues, shape: number[], dtype: DataType, refCount: number): void {
    const handle = calling(() =>
      this.addon.create(bytesOf(values, dtype, tf.util.sizeFromShape(shape)), dtypeCode(dtype), ...shape),
    );
    this.#held.set(dataId, { handle, dtype, references: refCount });
  }

  override readSync(dataId: DataId): BackendValues {
    const { handle, dtype } = this.#held.get(dataId);
    return calling(() => {
      const values = new (arrayOf(dtype))(this.addon.sizeOf(handle));
      this.addon.readInto(handle, values);
      return values;
    });
  }

  override read(dataId: DataId): Promise<BackendValues> {
    return Promise.resolve(this.readSync(dataId));
  }

  override disposeData(dataId: DataId, force = false): boolean {
    if (!this.#held.has(dataId)) return true;
    const held = this.#held.get(dataId);
    held.references -= 1;
    if (!force && held.references > 0) return false;
    this.addon.drop(held.handle);
    this.#held.delete(dataId);
    return true;
  }

  override refCount(dataId: DataId): number {
    return this.#held.has(dataId) ? this.#held.get(dataId).references : 0;
  }

  override incRef(dataId: DataId): void {
    this.#held.get(dataId).references += 1;
  }

  override numDataIds(): number {
    return this.#held.numDataIds();
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: false };
  }

  override timerAvailable(): boolean {
    return true;
  }

  override time(run: () => void): Promise<{ kernelMs: number }> {
    const began = performance.now();
    run();
    return Promise.resolve({ kernelMs: performance.now() - began });
  }

  override epsilon(): number {
    return 1e-7;
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override dispose(): void {
    // Its tensors are dropped by their owners; the addon stays for the life of the process.
  }
}

function arrayOf(dtype: DataType): typeof Float32Array | typeof Int32Array | typeof Uint8Array {
  return dtype === "float32" ? Float32Array : dtype === "int32" ? Int32Array : Uint8Array;
}

/** Values as the dtype's typed array. */
function bytesOf(values: BackendValues, dtype: DataType, size: number): ArrayBufferView {
  const wanted = arrayOf(dtype);
  const found = values instanceof wanted ? values : wanted.from(values as ArrayLike<number>);
  if (found.length !== size) throw new Error(`bug: ${String(found.length)} values for a tensor of ${String(size)}`);
  return found;
}

/** Says so of the addon's errors, and of the one that JavaScript throws where an array finds no memory. */
function saysOutOfMemory(thrown: unknown): thrown is Error {
  if (thrown instanceof RangeError) return thrown.message === "Array buffer allocation failed";
  return thrown instanceof Error && (thrown as NodeJS.ErrnoException).code === "out_of_memory";
}

/** Runs `call`; an allocation that fails in it becomes our error. */
export function calling<Result>(call: () => Result): Result {
  try {
    return call();
  } catch (thrown) {
    if (saysOutOfMemory(thrown))
      throw new PatchbayError("out_of_memory", `the torch backend is out of memory: ${thrown.message}`, {
        cause: thrown,
      });
    throw thrown;
  }
}
