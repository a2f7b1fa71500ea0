import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { cosineOf, exponentialOf, logarithmOf, powerOf, sineOf } from "../../../src/base/elementary-functions.js";

const VALUES = JSON.parse(
  readFileSync(new URL("../../fixtures/elementary-functions/values.json", import.meta.url), "utf8"),
) as Record<string, number[][]>;

const FUNCTIONS: Readonly<Record<string, (x: number, y: number) => number>> = {
  cosine: cosineOf,
  sine: sineOf,
  exponential: exponentialOf,
  logarithm: logarithmOf,
  power: powerOf,
};

describe("elementary functions that have the same bits on every engine", () => {
  test.each(Object.keys(FUNCTIONS))("each %s is the float64 next to the true value", (name) => {
    const rows = VALUES[name] ?? [];
    expect(rows.length).toBeGreaterThan(80);
    const computed = rows.map(([x = 0, y = 0]) => FUNCTIONS[name]?.(x, y));
    expect(computed).toEqual(rows.map((row) => row.at(-1)));
  });

  test("powers of ten that float64 has are exact, and the others are those of the decimal literals", () => {
    for (let n = -300; n <= 300; n++) expect(powerOf(10, n)).toBe(Number(`1e${String(n)}`));
  });

  test("limits are those of the functions", () => {
    expect([exponentialOf(800), exponentialOf(-800), exponentialOf(-Infinity)]).toEqual([Infinity, 0, 0]);
    expect([logarithmOf(0), logarithmOf(-1), logarithmOf(Infinity)]).toEqual([-Infinity, Number.NaN, Infinity]);
    expect([powerOf(0.999, 2e6), powerOf(7, 0)]).toEqual([0, 1]);
    expect(exponentialOf(Number.NaN)).toBeNaN();
  });

  test("what has no answer here is refused", () => {
    expect(() => cosineOf(2e9)).toThrow(/angle/);
    expect(() => cosineOf(Number.NaN)).toThrow(/angle/);
    expect(() => powerOf(-1, 0.5)).toThrow(/power/);
  });
});
