import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { factorise, solveRows } from "../../../src/stats/cholesky.js";
import { dot } from "../../../src/stats/dot.js";

/** `B^T B + I` of random numbers, `[n, n]`: symmetric and positive definite. */
function positiveDefinite(n: number): Float64Array {
  const rng = createRng(3, "matrix", n);
  const B = Array.from({ length: n }, () => Float64Array.from({ length: n }, () => rng.normal()));
  return Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return (i === j ? 1 : 0) + B.reduce((sum, row) => sum + (row[i] ?? NaN) * (row[j] ?? NaN), 0);
  });
}

describe("a Cholesky factor", () => {
  it("is the one that a hand finds, and what is above the diagonal stays", () => {
    const matrix = Float64Array.of(4, 99, 99, 2, 10, 99, -6, 0, 26);
    factorise(matrix, 3);
    // 2; 1, 3; -3, 1, 4: its product with its transpose is the matrix.
    expect([...matrix]).toEqual([2, 99, 99, 1, 3, 99, -3, 1, 4]);
  });

  it("does not exist where a direction has no weight, and the pivot is named", () => {
    expect(() => {
      factorise(Float64Array.of(1, 0, 2, 4), 2);
    }).toThrow("pivot 1 is 0");
    expect(() => {
      factorise(Float64Array.of(Number.NaN), 1);
    }).toThrow("pivot 0 is NaN");
  });

  it.each([1, 4, 7, 13])("of %i equations solves every right side, whatever their number", (n) => {
    const matrix = positiveDefinite(n);
    const rng = createRng(4, "rights", n);
    const factor = matrix.slice();
    factorise(factor, n);
    for (const count of [1, 8, 9]) {
      const rights = Float64Array.from({ length: count * n }, () => rng.normal());
      const solutions = rights.slice();
      solveRows(factor, n, solutions);
      const back = rights.map((_, at) => dot(matrix, (at % n) * n, solutions, Math.floor(at / n) * n, n));
      expect(back).toBeAllclose(rights, { rtol: 0, atol: 1e-12 });
    }
  });
});
