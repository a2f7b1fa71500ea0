/** @file The torch backend where the system gives no more memory: the process's address space is limited for these tests. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { loadTorchAddon, TORCH_DTYPES } from "../../src/backends/torch-addon.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { ON_GPU } from "../numeric/test-backend.js";

const MIB = 2 ** 20;
const outOfMemory = expect.objectContaining({ code: "out_of_memory" }) as Error;

/** Bounds the address space of this process to `mib` more than it has; null: no bound. */
function limitMemory(mib: number | null): void {
  const kib = Number(must(/VmSize:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1], "VmSize"));
  const bytes = mib === null ? "unlimited" : String(1024 * kib + mib * MIB);
  const { status, stderr } = spawnSync("prlimit", ["--pid", String(process.pid), `--as=${bytes}:`], {
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([0, ""]);
}

// The limit is on the process: a GPU's memory is not under it.
describe.skipIf(ON_GPU)("the torch backend without more memory", () => {
  beforeAll(() => startBackend("torch"));
  afterEach(() => {
    limitMemory(null);
  });

  it("reports a tensor that finds no room, and goes on", () => {
    limitMemory(600);
    expect(() => tf.fill([1024, MIB], 1)).toThrow(outOfMemory);
    expect(tf.tidy(() => tf.sum(tf.ones([1000])).dataSync()[0])).toBe(1000);
  });

  it("reports values that find no room on their way to JavaScript, and goes on", () => {
    const x = tf.fill([400, MIB / 4], 1); // Made by the addon: JavaScript has nothing of this size to let go.
    limitMemory(300);
    expect(() => x.dataSync()).toThrow(outOfMemory);
    x.dispose();
    expect(tf.tidy(() => tf.sum(tf.ones([1000])).dataSync()[0])).toBe(1000);
  });

  it("reports weights that cannot be mapped: their file is not to blame", async () => {
    const folder = mkdtempSync(join(tmpdir(), "patchbay-memory-"));
    try {
      const file = join(folder, "weights");
      writeFileSync(file, "");
      truncateSync(file, 1024 * MIB); // Takes no room on the disk.
      limitMemory(600);
      const float32 = must(TORCH_DTYPES["float32"], "float32");
      await expect(loadTorchAddon().load(file, 0, float32, float32, -1, 0, 256, MIB)).rejects.toThrow(outOfMemory);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
