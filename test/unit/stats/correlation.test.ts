/** @file Correlations and lines: against SciPy, against slow definitions, and under what must not change them. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { leastSquares, pearson, signAgreement, spearman } from "../../../src/stats/correlation.js";
import { kendallTauB } from "../../../src/stats/kendall.js";
import { topKOverlap } from "../../../src/stats/top-k.js";
import { averageRank, kendallByPairs, topKBySorting } from "./naive.js";

interface ScipyCase {
  name: string;
  x: number[];
  y: number[];
  pearson: number;
  spearman: number;
  kendall: number;
  slope: number;
  intercept: number;
}

const scipy = JSON.parse(readFileSync(new URL("scipy-values.json", import.meta.url), "utf8")) as { cases: ScipyCase[] };
const STATISTICS = { pearson, spearman, kendallTauB };

/** Pairs with many ties and zeros, and an integer weight each. */
const rows = fc.array(
  fc.record({
    x: fc.integer({ min: -4, max: 4 }),
    y: fc.integer({ min: -4, max: 4 }),
    w: fc.integer({ min: 1, max: 3 }),
  }),
  { minLength: 2, maxLength: 40 },
);
const column = (table: readonly Record<"x" | "y" | "w", number>[], name: "x" | "y" | "w"): Float64Array =>
  Float64Array.from(table, (row) => row[name]);

/** Equal up to rounding, or both undefined. */
function expectSame(actual: number, expected: number): void {
  if (Number.isNaN(expected)) expect(actual).toBeNaN();
  else expect(actual).toBeCloseTo(expected, 10);
}

describe.each(scipy.cases)("$name", (expected) => {
  const x = Float64Array.from(expected.x);
  const y = Float64Array.from(expected.y);

  test("correlations equal SciPy's", () => {
    expect(pearson(x, y)).toBeCloseTo(expected.pearson, 12);
    expect(spearman(x, y)).toBeCloseTo(expected.spearman, 12);
    expect(kendallTauB(x, y)).toBeCloseTo(expected.kendall, 12);
  });

  test("the line equals SciPy's", () => {
    const { slope, intercept } = leastSquares(x, y);
    expect(slope).toBeCloseTo(expected.slope, 10);
    expect(intercept / Math.max(1, Math.abs(expected.intercept))).toBeCloseTo(
      expected.intercept / Math.max(1, Math.abs(expected.intercept)),
      10,
    );
  });
});

describe("slow definitions", () => {
  test("Spearman is Pearson of average ranks", () => {
    fc.assert(
      fc.property(rows, (table) => {
        const [x, y] = [column(table, "x"), column(table, "y")];
        expectSame(spearman(x, y), pearson(averageRank(x), averageRank(y)));
      }),
    );
  });

  test("Kendall counts pairs, weighted or not", () => {
    fc.assert(
      fc.property(rows, (table) => {
        const [x, y, w] = [column(table, "x"), column(table, "y"), column(table, "w")];
        expectSame(kendallTauB(x, y), kendallByPairs(x, y, null));
        expectSame(kendallTauB(x, y, w), kendallByPairs(x, y, w));
      }),
    );
  });

  test("top-k overlap compares two sorted lists", () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 12 }), (table, k) => {
        const [x, y] = [column(table, "x"), column(table, "y")];
        expectSame(topKOverlap(x, y, k), topKBySorting(x, y, k));
      }),
    );
  });
});

describe("what must not change a result", () => {
  test("an integer weight is that many copies of the row", () => {
    fc.assert(
      fc.property(rows, (table) => {
        const copies = table.flatMap((row) => Array.from({ length: row.w }, () => row));
        const [x, y, w] = [column(table, "x"), column(table, "y"), column(table, "w")];
        const [cx, cy] = [column(copies, "x"), column(copies, "y")];
        for (const statistic of [pearson, spearman, kendallTauB, signAgreement]) {
          expectSame(statistic(x, y, w), statistic(cx, cy));
        }
        expectSame(leastSquares(x, y, w).slope, leastSquares(cx, cy).slope);
        expectSame(leastSquares(x, y, w).intercept, leastSquares(cx, cy).intercept);
        expectSame(topKOverlap(x, y, 2, w), topKOverlap(cx, cy, 2));
      }),
    );
  });

  test.each(Object.entries(STATISTICS))("%s is symmetric and blind to the order of rows", (_, statistic) => {
    fc.assert(
      fc.property(rows, (table) => {
        const [x, y] = [column(table, "x"), column(table, "y")];
        expectSame(statistic(y, x), statistic(x, y));
        expectSame(statistic(x.toReversed(), y.toReversed()), statistic(x, y));
      }),
    );
  });

  test.each(Object.entries(STATISTICS))(
    "%s ignores shift and scale, and changes sign with one side",
    (_, statistic) => {
      fc.assert(
        fc.property(rows, (table) => {
          const [x, y] = [column(table, "x"), column(table, "y")];
          const scaled = x.map((v) => 3 * v - 7);
          const mirrored = x.map((v) => -v);
          expectSame(statistic(scaled, y), statistic(x, y));
          expectSame(statistic(mirrored, y), -statistic(x, y));
        }),
      );
    },
  );

  test("rank correlations ignore any increasing map", () => {
    fc.assert(
      fc.property(rows, (table) => {
        const [x, y] = [column(table, "x"), column(table, "y")];
        const cubed = x.map((v) => v ** 3 + v);
        expectSame(spearman(cubed, y), spearman(x, y));
        expectSame(kendallTauB(cubed, y), kendallTauB(x, y));
      }),
    );
  });
});

describe("edges", () => {
  const undefinedInputs: [string, number[], number[]][] = [
    ["no rows", [], []],
    ["one row", [1], [2]],
    ["a constant", [0.1, 0.1, 0.1], [1, 2, 3]],
    ["a constant but for rounding", [5.3, 5.300001, 5.299999], [1, 2, 3]],
  ];

  test.each(undefinedInputs)("%s has no correlation and no line", (_, x, y) => {
    const [a, b] = [Float64Array.from(x), Float64Array.from(y)];
    for (const statistic of Object.values(STATISTICS)) expect(statistic(a, b)).toBeNaN();
    expect(leastSquares(a, b).slope).toBeNaN();
  });

  test("a zero on one side only is no sign agreement, two zeros are one", () => {
    expect(signAgreement(Float64Array.of(0, 0, -0, 1), Float64Array.of(0, 1, 0, 2))).toBe(0.75);
  });

  test("0 and -0 are tied", () => {
    expect(kendallTauB(Float64Array.of(0, -0, 1), Float64Array.of(1, 2, 3))).toBeCloseTo(2 / Math.sqrt(6), 12);
  });

  test("fewer rows than k have no overlap", () => {
    expect(topKOverlap(Float64Array.of(1), Float64Array.of(1), 2)).toBeNaN();
  });

  test("a heavy row fills the list that a light one would share", () => {
    const [x, y, w] = [Float64Array.of(3, 2, 1), Float64Array.of(1, 3, 2), Float64Array.of(1, 1, 10)];
    expect(topKOverlap(x, y, 2)).toBe(0.5);
    // By x: rows 0 and 1. By y: row 1, then one of the ten that row 2 stands for.
    expect(topKOverlap(x, y, 2, w)).toBe(0.5);
    expect(topKOverlap(x, y, 4, w)).toBe(0.75);
  });
});
