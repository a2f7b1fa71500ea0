/** @file Calls of the addon that fit nothing: each is an error, where the process would end if loops went as far as they are told. */
import { beforeAll, describe, expect, it } from "vitest";
import { loadTorchAddon, TORCH_DTYPES, type Handle, type TorchAddon } from "../../src/backends/torch-addon.js";
import { TINY_A } from "../numeric/golden.js";

const { float32 = NaN, int32 = NaN, bfloat16 = NaN } = TORCH_DTYPES;
const MANY = 8_000_000;

describe("a call of the addon with", () => {
  let addon: TorchAddon;
  let made: Handle[] = [];
  beforeAll(() => {
    addon = loadTorchAddon();
    addon.useDevice("cpu");
  });

  const ones = (...shape: number[]): Handle => keep(addon.fill(1, float32, ...shape));
  const integers = (...values: number[]): Handle => keep(addon.create(Int32Array.from(values), int32, values.length));
  const keep = (handle: Handle): Handle => {
    made.push(handle);
    return handle;
  };
  const attend = (mask: Handle, ...[batch, heads, kvHeads]: [number, number, number]): unknown =>
    addon.attention(ones(400, 16), ones(400, 8), ones(400, 8), mask, batch, heads, kvHeads, 1, 0);
  const lists = (pointer: number, feature: number): [Handle, Handle, Handle] => [
    integers(0, pointer),
    integers(feature),
    ones(1),
  ];

  const calls: Record<string, () => unknown> = {
    "fewer gains than a row has numbers": () => addon.rmsNorm(ones(4, 100_000), ones(3), 1e-6),
    "rows of no numbers": () => addon.rmsNorm(ones(4, 0), ones(0), 1e-6),
    "a shorter gradient than its norm's input": () => addon.rmsNormGradient(ones(3), ones(4, 3), ones(3), 1e-6),
    "less up than gate": () => addon.geluTimes(ones(MANY), ones(3)),
    "a shorter gradient than gate and up": () => addon.geluTimesGradient(ones(3), ones(MANY), ones(MANY)),
    "rows of no whole number of heads": () => addon.rope(ones(4, 1001), ones(4, 1, 64), ones(4, 1, 64), 1),
    "angles of too few rows": () => addon.rope(ones(4000, 640), ones(1, 1, 64), ones(1, 1, 64), 1),
    "attention over no prompt": () => attend(ones(1, 800, 400), 0, 2, 1),
    "attention of no kv head": () => attend(ones(1, 800, 400), 1, 2, 0),
    "a mask of other queries and keys": () => attend(ones(1), 1, 2, 1),
    "moments of another shape than the value": () => addon.adam(ones(MANY), ones(1), ones(1), ones(1), 0.9, 0.9, 1, 1),
    "a bias of another encoder": () => addon.encodeActive(ones(2, 4), ones(4, MANY / 8), ones(1), ones(1)),
    "two runs of other rows": () => addon.encodeChanges(ones(2, 4), ones(3, 4), ones(4, 8), ones(8), ones(8)),
    "a gate of another encoder": () => addon.encodeChanges(ones(2, 4), ones(2, 4), ones(4, 8), ones(8), ones(1)),
    "a feature beyond the decoder": () => addon.decodeActive(...lists(1, 100_000_000), ones(10, 8)),
    "a feature before the decoder": () => addon.decodeActive(...lists(1, -1), ones(10, 8)),
    "more entries than there are features": () => addon.decodeActive(...lists(100_000_000, 1), ones(10, 8)),
    "a gradient of other rows than the lists'": () => addon.scoreActive(...lists(1, 1), ones(10, 8), ones(7, 8)),
    "an axis that there is not": () => addon.gather(ones(3, 3), integers(1, 1), -1),
    "an amount of padding left out": () => addon.pad(ones(3, 3), 0, 1, 1, 1),
    "a box of fewer axes": () => addon.slice(ones(3, 3), 0, 1),
    "an array of too few values to read to": () => {
      addon.readInto(ones(MANY), new Float32Array(1));
    },
    "weights that are neither float32 nor bfloat16": () => addon.load(TINY_A, 0, int32, int32, -1, 0, 4),
    "weights before their file": () => addon.load(TINY_A, -4, float32, float32, -1, 0, 4),
    "more arguments than there may be": () => addon.reshape(ones(1), ...new Array<number>(16).fill(1)),
    "an argument left out": () => (addon.add as (a: Handle) => unknown)(ones(1)),
  };

  it.each(Object.entries(calls))("%s throws and leaves no tensor", (_, call) => {
    const before = addon.liveTensors();
    expect(call).toThrow(/^expected /);
    for (const handle of made) addon.drop(handle);
    made = [];
    expect(addon.liveTensors()).toBe(before);
  });

  it("a bfloat16 factor of another depth throws", () => {
    const narrow = keep(addon.cast(ones(800, 300), bfloat16));
    expect(() => addon.matMul(ones(200, 8), narrow, false, false)).toThrow(/cannot be multiplied/);
  });
});
