/**
 * @file Systems of equations with a symmetric positive definite matrix, in float64.
 *
 * 1. `M = L L^T`, row by row: every product is of two stretches of rows, which lie in memory as they are read.
 * 2. For each right side, `L y = c` from the first row down, then `L^T s = y` from the last row up.
 *
 * Matrices are flat, row after row. Source: Golub and Van Loan, Matrix Computations, 4th edition, sections 3.1 and 4.2.
 */

import { dot, dots } from "./dot.js";

/** Right sides that are solved together, so that a row of the factor is read once for all of them. */
const GROUP = 8;

/**
 * Replaces the lower triangle of the matrix `[n, n]` by its factor; what is above the diagonal is neither read nor written.
 * @param from first row to replace: those before it have been.
 * @throws Error where the matrix is not positive definite.
 */
export function factorise(matrix: Float64Array, n: number, from = 0, to = n): void {
  for (let row = from; row < to; row++) {
    for (let column = 0; column < row; column++) {
      const rest = at(matrix, row * n + column) - dot(matrix, row * n, matrix, column * n, column);
      matrix[row * n + column] = rest / at(matrix, column * n + column);
    }
    const pivot = at(matrix, row * n + row) - dot(matrix, row * n, matrix, row * n, row);
    if (!(pivot > 0)) throw new Error(`the matrix is not positive definite: pivot ${String(row)} is ${String(pivot)}`);
    matrix[row * n + row] = Math.sqrt(pivot);
  }
}

/** Replaces each row of `rights` `[count, n]` by the solution of its system. @param factor of {@link factorise}. */
export function solveRows(factor: Float64Array, n: number, rights: Float64Array): void {
  const all = rights.length / n;
  const products = new Float64Array(GROUP);
  for (let first = 0; first < all; first += GROUP) {
    const count = Math.min(GROUP, all - first);
    const group = { values: rights, offset: first * n, stride: n, count };
    for (let row = 0; row < n; row++) {
      dots(factor, row * n, group, row, products);
      const pivot = at(factor, row * n + row);
      for (let of = 0; of < count; of++) {
        const index = (first + of) * n + row;
        rights[index] = (at(rights, index) - at(products, of)) / pivot;
      }
    }
    for (let row = n - 1; row >= 0; row--)
      for (let of = first; of < first + count; of++) {
        const solved = at(rights, of * n + row) / at(factor, row * n + row);
        rights[of * n + row] = solved;
        subtract(rights, of * n, factor, row * n, row, solved);
      }
  }
}

/** Takes `times` as much of `length` numbers of `b` from those of `a`. */
function subtract(
  a: Float64Array,
  offsetA: number,
  b: Float64Array,
  offsetB: number,
  length: number,
  times: number,
): void {
  for (let k = 0; k < length; k++) a[offsetA + k] = (a[offsetA + k] as number) - times * (b[offsetB + k] as number);
}

/** An element that is there: `must` in a loop over billions would be most of its time. */
function at(values: Float64Array, index: number): number {
  return values[index] as number;
}
