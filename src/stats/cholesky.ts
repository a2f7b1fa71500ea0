/**
 * @file Systems of equations with a symmetric positive definite matrix, in float64.
 *
 * 1. `M = L L^T`, row by row: every product is of two stretches of rows, which lie in memory as they are read.
 * 2. For each right side, `L y = c` from the first row down, then `L^T s = y` from the last row up.
 *
 * Matrices are flat, row after row. Source: Golub and Van Loan, Matrix Computations, 4th edition, sections 3.1 and 4.2.
 */

/** Right sides that are solved together, so that a row of the factor is read once for all of them. */
const GROUP = 8;

/**
 * Replaces the lower triangle of the matrix `[n, n]` by its factor; what is above the diagonal is neither read nor written.
 * @throws Error where the matrix is not positive definite.
 */
export function factorise(matrix: Float64Array, n: number): void {
  for (let row = 0; row < n; row++) {
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
  const count = rights.length / n;
  for (let first = 0; first < count; first += GROUP) {
    const end = Math.min(count, first + GROUP);
    for (let row = 0; row < n; row++)
      for (let of = first; of < end; of++) {
        const rest = at(rights, of * n + row) - dot(factor, row * n, rights, of * n, row);
        rights[of * n + row] = rest / at(factor, row * n + row);
      }
    for (let row = n - 1; row >= 0; row--)
      for (let of = first; of < end; of++) {
        const solved = at(rights, of * n + row) / at(factor, row * n + row);
        rights[of * n + row] = solved;
        for (let k = 0; k < row; k++) rights[of * n + k] = at(rights, of * n + k) - solved * at(factor, row * n + k);
      }
  }
}

/** Product of `length` numbers of both, in four sums that do not wait for one another. */
export function dot(a: Float64Array, offsetA: number, b: Float64Array, offsetB: number, length: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let k = 0;
  for (; k + 3 < length; k += 4) {
    s0 += at(a, offsetA + k) * at(b, offsetB + k);
    s1 += at(a, offsetA + k + 1) * at(b, offsetB + k + 1);
    s2 += at(a, offsetA + k + 2) * at(b, offsetB + k + 2);
    s3 += at(a, offsetA + k + 3) * at(b, offsetB + k + 3);
  }
  for (; k < length; k++) s0 += at(a, offsetA + k) * at(b, offsetB + k);
  return s0 + s1 + (s2 + s3);
}

/** An element that is there: `must` in a loop over billions would be most of its time. */
function at(values: Float64Array, index: number): number {
  return values[index] as number;
}
