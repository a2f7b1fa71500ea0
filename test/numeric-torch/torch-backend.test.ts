import { once } from "node:events";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { loadTorchAddon, type TorchAddon } from "../../src/backends/torch-addon.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { ON_GPU } from "../numeric/test-backend.js";

describe("the torch backend", () => {
  let addon: TorchAddon;
  beforeAll(async () => {
    await startBackend("torch");
    addon = loadTorchAddon();
  });

  it("is the backend of every call, with the threads of the environment, and may be started again", async () => {
    await startBackend("torch");
    expect(tf.getBackend()).toBe("torch");
    expect(addon.threads()).toBe(1);
    expect(addon.version()).toMatch(new RegExp(`^${process.env["PATCHBAY_TEST_LIBTORCH"] ?? "\\d+\\.\\d+"}`));
  });

  it("frees memory when tfjs disposes the last tensor that shares it", () => {
    const [tensors, bytes] = [addon.liveTensors(), addon.liveBytes()];
    const x = tf.ones([1000, 1000]);
    expect(addon.liveBytes() - bytes).toBeGreaterThanOrEqual(4_000_000);
    const view = tf.reshape(x, [1_000_000]);
    x.dispose();
    expect(addon.liveBytes() - bytes).toBeGreaterThanOrEqual(4_000_000);
    expect(addon.liveBytes() - bytes).toBeLessThan(6_000_000); // A view needs no memory of its own.
    view.dispose();
    expect([addon.liveTensors(), addon.liveBytes()]).toEqual([tensors, bytes]);
  });

  it("holds as much memory after a thousand steps as after one", () => {
    const step = (): void => {
      const loss = (x: tf.Tensor): tf.Tensor => tf.sum(tf.softmax(tf.matMul(x, tf.transpose(x))));
      tf.dispose(tf.tidy(() => tf.grad(loss)(tf.ones([40, 30]))));
    };
    step();
    const before = [addon.liveTensors(), addon.liveBytes(), tf.memory().numTensors];
    for (let i = 0; i < 1000; i++) step();
    expect([addon.liveTensors(), addon.liveBytes(), tf.memory().numTensors]).toEqual(before);
  });

  it.each([
    ["as they are", false, false],
    ["with the first transposed", true, false],
    ["with the second transposed", false, true],
    ["with both transposed", true, true],
  ])("multiplies small and large matrices exactly to float32, %s", (_, first, second) => {
    for (const [m, k, n] of [
      [3, 5, 4],
      [40, 210, 130],
    ] as const) {
      const values = (rows: number, columns: number): Float32Array =>
        Float32Array.from({ length: rows * columns }, (_value, i) => Math.sin(i * i + rows));
      const [a, b] = [values(m, k), values(k, n)];
      const product = tf.tidy(() => {
        const [left, right] = [tf.tensor2d(a, [m, k]), tf.tensor2d(b, [k, n])];
        return tf
          .matMul(first ? tf.transpose(left) : left, second ? tf.transpose(right) : right, first, second)
          .dataSync();
      });
      const largest = Math.max(
        ...product.map((value, i) => {
          let sum = 0;
          for (let j = 0; j < k; j++) sum += (a[Math.floor(i / n) * k + j] ?? NaN) * (b[j * n + (i % n)] ?? NaN);
          return Math.abs(value - sum);
        }),
      );
      expect(largest).toBeLessThan(1e-6 * k);
    }
  });

  it("takes no signals on the thread that computes, and the process still handles them", async () => {
    const blocked = BigInt(
      `0x${must(/SigBlk:\s+(\w+)/.exec(readFileSync("/proc/thread-self/status", "utf8"))?.[1], "mask")}`,
    );
    const isBlocked = (signal: number): boolean => ((blocked >> BigInt(signal - 1)) & 1n) === 1n;
    const { SIGTERM, SIGUSR2, SIGSEGV, SIGPROF } = constants.signals;
    expect([SIGTERM, SIGUSR2, SIGSEGV, SIGPROF].map(isBlocked)).toEqual([true, true, false, false]);
    const handled = once(process, "SIGUSR2");
    process.kill(process.pid, "SIGUSR2");
    await handled;
  });

  // The limit is the allocator's for the host's memory.
  it.skipIf(ON_GPU)("gives failed allocations their own code, and goes on afterwards", () => {
    const x = tf.ones([500, 500]);
    addon.limitBytes(addon.liveBytes() + 500_000);
    expect(() => tf.add(x, x)).toThrow(expect.objectContaining({ code: "out_of_memory" }) as Error);
    addon.limitBytes(0);
    const huge = (): unknown => tf.fill([2 ** 21, 2 ** 21], 1);
    expect(huge).toThrow(expect.objectContaining({ code: "out_of_memory" }) as Error);
    const sum = tf.tidy(() => tf.sum(tf.add(x, x)).dataSync()[0]);
    x.dispose();
    expect(sum).toBe(500_000);
  });

  // A GPU would give its process up over such an index.
  it.skipIf(ON_GPU)("refuses an index outside the axis, and a handle that it does not hold", () => {
    expect(() => tf.tidy(() => tf.gather(tf.ones([3]), tf.tensor1d([3], "int32")))).toThrow(/index out of range/);
    expect(() => {
      addon.drop(2 ** 30);
    }).toThrow(/no tensor/);
  });

  it("moves tensors of another backend over when they are used", async () => {
    await startBackend("wasm");
    const x = tf.tensor1d([1, 2, 3]);
    await startBackend("torch");
    expect([...tf.tidy(() => tf.mul(x, 2).dataSync())]).toEqual([2, 4, 6]);
    x.dispose();
  });
});
