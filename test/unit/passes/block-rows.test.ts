import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { componentsOf } from "../../../src/experiments/scores/components.js";
import { firstDifference } from "../../../src/nodes/prompt.js";
import { laterRows, padRows, wholeRow, wholeRows } from "../../../src/passes/later-positions.js";
import { checkMetrics, firstNonFinite } from "../../../src/passes/non-finite.js";
import { idsOf } from "../../../src/passes/capture.js";
import { rowChunks } from "../../../src/passes/row-chunks.js";
import { startBackend } from "../../../src/backends/start-backend.js";

const prompt = (line: number, clean: number[], corrupted: number[] | null) => ({
  line,
  clean,
  corrupted,
  correct: 1,
  incorrect: [2],
});

describe("rows of later positions", () => {
  beforeAll(() => startBackend("wasm"));

  it("start at the first position where any pair differs", () => {
    expect(firstDifference([prompt(1, [2, 5, 6, 7], [2, 5, 6, 8]), prompt(2, [2, 5, 6, 7], [2, 5, 9, 7])])).toBe(2);
    expect(firstDifference([prompt(1, [2, 5], [2, 5])])).toBe(2);
  });

  it("come back in place, with zeros before", () => {
    const x = tf.tensor2d(
      Array.from({ length: 12 }, (_, i) => i + 1),
      [6, 2],
    );
    const later = laterRows(x, 2, 1);
    expect(Array.from(later.dataSync())).toEqual([3, 4, 5, 6, 9, 10, 11, 12]);
    expect(Array.from(padRows(later, 2, 1).dataSync())).toEqual([0, 0, 3, 4, 5, 6, 0, 0, 9, 10, 11, 12]);
    expect([0, 1, 2, 3].map((row) => wholeRow(row, 3, 1))).toEqual([1, 2, 4, 5]);
    expect(wholeRows(Float32Array.of(3, 5, 9, 11), 2, 1)).toEqual(Float32Array.of(0, 3, 5, 0, 9, 11));
    expect(wholeRows(Float32Array.of(3, 5), 2, 0)).toEqual(Float32Array.of(3, 5));
    expect(Array.from(padRows(laterRows(x, 2, 0), 2, 0).dataSync())).toEqual(Array.from(x.dataSync()));
  });
});

describe("rowChunks", () => {
  it("cover all rows in order, none larger than the limit allows", () => {
    expect(rowChunks(10, 1024 * 1024)).toEqual([
      { start: 0, count: 4 },
      { start: 4, count: 4 },
      { start: 8, count: 2 },
    ]);
    expect(rowChunks(2, 2 ** 30)).toEqual([
      { start: 0, count: 1 },
      { start: 1, count: 1 },
    ]);
  });
});

describe("components", () => {
  it("have a cosine of 0 where a norm is 0", () => {
    const parts = { deltaNorm: Float32Array.of(2, 0), gradNorm: Float32Array.of(3, 4), dot: Float32Array.of(-6, 0) };
    expect(componentsOf(parts).cosine).toEqual(Float32Array.of(-1, 0));
  });
});

describe("checks of a block", () => {
  it("find the first value that is not finite", () => {
    expect([firstNonFinite([1, 2]), firstNonFinite([1, Number.NaN, -Infinity])]).toEqual([-1, 1]);
  });

  it("name the prompt's line where a metric is not finite", () => {
    const prompts = [prompt(4, [2], [2]), prompt(9, [2], [2])];
    expect(() => {
      checkMetrics(Float64Array.of(0, Infinity), prompts, "corrupted");
    }).toThrow(/corrupted run.*Infinity.*line 9/);
  });

  it("refuse the corrupted side of a plain prompt, naming its line", () => {
    expect(() => idsOf([prompt(3, [2], null)], "corrupted")).toThrow(/line 3.*no corrupted side/);
  });
});
