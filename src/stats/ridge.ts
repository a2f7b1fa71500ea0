/**
 * @file Ridge regression of one vector on another of the same width, in float64.
 *
 * 1. Rows come in blocks. A block's sums of products are about its own means: nothing large is subtracted from something large.
 * 2. Two sets of rows become one: the sums are added, and the distance of the means counts `n_a n_b / (n_a + n_b)` times
 *    (Chan, Golub and LeVeque, 1983).
 * 3. With `X`, `Y` the rows less their means, `A^T = (X^T X + l I)^-1 X^T Y` for `l = ridge * trace(X^T X) / d`, and
 *    `b = mean(y) - A mean(x)`, which costs nothing.
 *
 * The order of the blocks decides the last bits. Source: Hoerl and Kennard, 1970, with the penalty in units of the mean variance.
 */
import { assert } from "../base/assert.js";
import { factorise, solveRows } from "./cholesky.js";
import { dot, dots } from "./dot.js";

/** Sums over rows of pairs of vectors, about their means. */
export class CenteredSums {
  /** Rows so far. */
  count = 0;
  readonly width: number;
  readonly meanX: Float64Array;
  readonly meanY: Float64Array;
  /** `X^T X`, lower triangle, `[d, d]`. */
  readonly xx: Float64Array;
  /** `Y^T X`, `[d, d]`: a row for each number of y. */
  readonly yx: Float64Array;
  /** Trace of `Y^T Y`. */
  yy = 0;

  constructor(width: number) {
    this.width = width;
    this.meanX = new Float64Array(width);
    this.meanY = new Float64Array(width);
    this.xx = new Float64Array(width * width);
    this.yx = new Float64Array(width * width);
  }

  /** Adds a block of rows, each of `width` numbers. */
  add(x: Float32Array, y: Float32Array): void {
    const { width } = this;
    assert(x.length % width === 0 && y.length === x.length, `rows of ${String(width)} numbers`);
    if (x.length === 0) return;
    const [ofX, ofY] = [centered(x, this.meanX), centered(y, this.meanY)];
    const { rows } = ofX;
    const weight = (this.count * rows) / (this.count + rows);
    for (let i = 0; i < width; i++) {
      addProducts(this.xx, { row: i, upTo: i + 1, weight }, ofX, ofX);
      addProducts(this.yx, { row: i, upTo: width, weight }, ofY, ofX);
      const squares = dot(ofY.columns, i * rows, ofY.columns, i * rows, rows);
      const distance = ofY.distance[i] as number;
      this.yy += squares + weight * (distance * distance);
    }
    this.count += rows;
    for (const [mean, { distance }] of [[this.meanX, ofX] as const, [this.meanY, ofY] as const])
      for (let i = 0; i < width; i++) mean[i] = (mean[i] as number) + (rows / this.count) * (distance[i] as number);
  }
}

/** A block of rows of `d` numbers. */
interface Block {
  readonly rows: number;
  /** What is left of the rows less their mean, number after number: `[d, rows]`. */
  readonly columns: Float64Array;
  /** From the mean of the rows before to theirs. */
  readonly distance: Float64Array;
}

function centered(values: Float32Array, meanBefore: Float64Array): Block {
  const d = meanBefore.length;
  const rows = values.length / d;
  const mean = new Float64Array(d);
  for (let i = 0; i < values.length; i++) mean[i % d] = (mean[i % d] as number) + (values[i] as number);
  for (let i = 0; i < d; i++) mean[i] = (mean[i] as number) / rows;
  const columns = new Float64Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < d; i++) columns[i * rows + row] = (values[row * d + i] as number) - (mean[i] as number);
  return { rows, columns, distance: mean.map((one, i) => one - (meanBefore[i] as number)) };
}

/** Adds one row of a block's products, up to a column, and what the distance of the means adds to it. */
function addProducts(
  sums: Float64Array,
  { row, upTo, weight }: { readonly row: number; readonly upTo: number; readonly weight: number },
  left: Block,
  right: Block,
): void {
  const { rows, distance } = right;
  const within = new Float64Array(upTo);
  dots(left.columns, row * rows, { values: right.columns, offset: 0, stride: rows, count: upTo }, rows, within);
  const far = weight * (left.distance[row] as number);
  const offset = row * distance.length;
  for (let k = 0; k < upTo; k++)
    sums[offset + k] = (sums[offset + k] as number) + (within[k] as number) + far * (distance[k] as number);
}

/** `y` as a linear function of `x`. */
export interface RidgeFit {
  /** `[d, d]`: a row for each number of y. */
  readonly A: Float64Array;
  readonly b: Float64Array;
  /** Share of the variance of y that it explains, over all numbers of y; NaN where y does not vary. */
  readonly explained: number;
}

/** Equations that are worked on between two pauses: a large system takes minutes. */
const AT_ONCE = 64;

/**
 * The fit of sums of at least one row. Where x does not vary, A is 0.
 * @param ridge above 0.
 * @param pause called now and then, so that whoever waits can be told.
 * @throws Error where the penalty is too small for the equations to have a solution.
 */
export async function fitRidge(
  sums: CenteredSums,
  ridge: number,
  pause: () => Promise<void> = () => Promise.resolve(),
): Promise<RidgeFit> {
  const { width: d, meanX, meanY, yx, yy } = sums;
  assert(sums.count > 0 && ridge > 0, "a fit of rows with a penalty");
  const matrix = sums.xx.slice();
  let trace = 0;
  for (let i = 0; i < d; i++) trace += matrix[i * d + i] as number;
  const penalty = (ridge * trace) / d;
  const A = new Float64Array(d * d);
  if (trace > 0) {
    for (let i = 0; i < d; i++) matrix[i * d + i] = (matrix[i * d + i] as number) + penalty;
    A.set(yx);
    for (let first = 0; first < d; first += AT_ONCE) {
      factorise(matrix, d, first, Math.min(d, first + AT_ONCE));
      await pause();
    }
    for (let first = 0; first < d; first += AT_ONCE) {
      solveRows(matrix, d, A.subarray(first * d, (first + AT_ONCE) * d));
      await pause();
    }
  }
  const b = meanY.map((mean, i) => mean - dot(A, i * d, meanX, 0, d));
  // Of the normal equations: |Y|^2 - |Y - X A^T|^2 = tr(A X^T Y) + l |A|^2.
  const explained = (dot(A, 0, yx, 0, d * d) + penalty * dot(A, 0, A, 0, d * d)) / yy;
  return { A, b, explained };
}
