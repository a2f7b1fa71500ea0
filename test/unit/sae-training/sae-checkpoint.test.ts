/** @file Checkpoints of SAE training: the latest whole one counts, a half-written one never does. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { must } from "../../../src/base/assert.js";
import { openTrainingCheckpoint, writeTrainingCheckpoint } from "../../../src/sae-training/sae-checkpoint.js";
import { startBackend } from "../../../src/backends/start-backend.js";

beforeAll(() => startBackend("wasm"));
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-checkpoint-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const at = { site: "attn_z", layer: 3 } as const;
const curve = [{ tokens: 10, sites: { x: { loss: 0.1 + 0.2, fvu: 1e-9, l0: 3, dead: 2 } } }];
const numbers = { scale: Math.PI, sparsity: 1 / 3, steps: 17 };
const write = async (fills: number): Promise<void> => {
  const arrays = new Map([["W_enc", tf.tensor2d([1.5, -0, 3e-39, 4], [2, 2])]]);
  await writeTrainingCheckpoint(folder, { fills, curve }, [{ at, state: { arrays, numbers } }]);
};

describe("a checkpoint", () => {
  it("gives back every bit, and replaces the one before", async () => {
    await write(2);
    await write(10);
    expect(readdirSync(folder)).toEqual(["10"]);
    const found = must(openTrainingCheckpoint(folder), "checkpoint");
    expect([found.fills, found.curve]).toEqual([10, curve]);
    const state = await found.read(at);
    expect(state.numbers).toEqual(numbers);
    expect([...must(state.arrays.get("W_enc"), "W_enc").dataSync()]).toEqual([1.5, -0, Math.fround(3e-39), 4]);
  });

  it("that was being written when the process died is not seen, and the next one clears it away", async () => {
    await write(9);
    const part = join(folder, "12.part");
    mkdirSync(part);
    writeFileSync(join(part, "state.json"), '{"fills": 12');
    expect(openTrainingCheckpoint(folder)?.fills).toBe(9);
    await write(10);
    expect(readdirSync(folder)).toEqual(["10"]);
    expect(openTrainingCheckpoint(folder)?.fills).toBe(10);
  });

  it("is the later of two that a kill left side by side", async () => {
    await write(10);
    mkdirSync(join(folder, "9"));
    expect(openTrainingCheckpoint(folder)?.fills).toBe(10);
  });

  it("is absent where there is none", () => {
    expect(openTrainingCheckpoint(folder)).toBeNull();
    expect(openTrainingCheckpoint(join(folder, "absent"))).toBeNull();
  });
});
