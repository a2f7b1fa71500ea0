/**
 * @file Pearson and Spearman correlation, sign agreement and least squares, each with optional weights.
 *
 * A weight counts copies: integer weights give what the data with every row repeated that often would give. Results are
 * NaN where they are undefined: fewer than two rows, or a variable that is constant but for rounding.
 */
import { assert } from "../base/assert.js";
import { levelsOf, midranks, type Levels } from "./rank.js";

/** First and second central moments of paired values. */
interface Moments {
  readonly meanX: number;
  readonly meanY: number;
  /** Weighted sums of products of deviations, not divided by anything. */
  readonly xx: number;
  readonly yy: number;
  readonly xy: number;
}

/** Two passes, so that a large mean does not cancel the deviations. */
function moments(x: Float64Array, y: Float64Array, w: Float64Array | null): Moments {
  assert(x.length === y.length && (w === null || w.length === x.length), "paired values differ in length");
  const n = x.length;
  let total = 0;
  let sumX = 0;
  let sumY = 0;
  for (let i = 0; i < n; i++) {
    const wi = w === null ? 1 : (w[i] as number);
    total += wi;
    sumX += wi * (x[i] as number);
    sumY += wi * (y[i] as number);
  }
  const meanX = sumX / total;
  const meanY = sumY / total;
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let i = 0; i < n; i++) {
    const wi = w === null ? 1 : (w[i] as number);
    const dx = (x[i] as number) - meanX;
    const dy = (y[i] as number) - meanY;
    xx += wi * dx * dx;
    yy += wi * dy * dy;
    xy += wi * dx * dy;
  }
  return { meanX, meanY, xx, yy, xy };
}

/** Values that lie closer, as a share of their size, are equal: float32 leaves effects a third of it (docs/reference.md). */
const ROUNDING = 1e-5;

/**
 * Whether all values are equal but for rounding, `[n]`. Where a metric comes to the same by every node of a group, as at the answer's
 * `resid_post` when nothing before it differs, what is left of their order is rounding, and no statistic of it means anything.
 */
export function isConstant(values: Float64Array): boolean {
  const [first = 0] = values;
  return values.every((value) => isSame(value, first));
}

/** Whether two values are equal but for rounding. */
export function isSame(a: number, b: number): boolean {
  return Math.abs(a - b) <= ROUNDING * Math.max(Math.abs(a), Math.abs(b));
}

function correlationOf({ xx, yy, xy }: Moments): number {
  const scale = Math.sqrt(xx) * Math.sqrt(yy);
  return scale > 0 ? Math.max(-1, Math.min(1, xy / scale)) : Number.NaN;
}

/** Pearson correlation of paired values `[n]`. Source: Pearson 1895; weighted moments. */
export function pearson(x: Float64Array, y: Float64Array, w: Float64Array | null = null): number {
  if (x.length < 2 || isConstant(x) || isConstant(y)) return Number.NaN;
  return correlationOf(moments(x, y, w));
}

/** Spearman correlation of paired values `[n]`: Pearson of average ranks. Source: Spearman 1904. */
export function spearman(x: Float64Array, y: Float64Array, w: Float64Array | null = null): number {
  return isConstant(x) || isConstant(y) ? Number.NaN : spearmanOfLevels(levelsOf(x), levelsOf(y), w);
}

/** {@link spearman} of values whose levels are known already, and which are known to vary. */
export function spearmanOfLevels(x: Levels, y: Levels, w: Float64Array | null): number {
  if (x.count < 2 || y.count < 2) return Number.NaN;
  return correlationOf(moments(midranks(x, w), midranks(y, w), w));
}

/** A straight line `y = intercept + slope x`. */
export interface Line {
  readonly slope: number;
  readonly intercept: number;
}

/** Least squares of `y` on `x`, `[n]` each; NaN where x is constant. Source: Legendre 1805. */
export function leastSquares(x: Float64Array, y: Float64Array, w: Float64Array | null = null): Line {
  if (x.length < 2 || isConstant(x)) return { slope: Number.NaN, intercept: Number.NaN };
  const { meanX, meanY, xx, xy } = moments(x, y, w);
  const slope = xy / xx;
  return { slope, intercept: meanY - slope * meanX };
}

/** Standard deviation of x over that of y, `[n]` each. NaN with fewer than two rows or a constant y. */
export function sizeRatio(x: Float64Array, y: Float64Array, w: Float64Array | null = null): number {
  if (x.length < 2 || isConstant(y)) return Number.NaN;
  const { xx, yy } = moments(x, y, w);
  return Math.sqrt(xx / yy);
}

/** Summed |x - y| over summed |y|: 0 where x is exact, 1 where x is 0 everywhere. NaN where all y are 0. */
export function relativeError(x: Float64Array, y: Float64Array, w: Float64Array | null = null): number {
  let [error, size] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    const wi = w === null ? 1 : (w[i] as number);
    error += wi * Math.abs((x[i] as number) - (y[i] as number));
    size += wi * Math.abs(y[i] as number);
  }
  return size > 0 ? error / size : Number.NaN;
}

/**
 * Share of rows whose signs are equal, `[n]` each. Zero has its own sign: a row with a zero on one side only does not
 * agree, a row with two zeros does. NaN without rows.
 */
export function signAgreement(x: Float64Array, y: Float64Array, w: Float64Array | null = null): number {
  let agreed = 0;
  let total = 0;
  for (let i = 0; i < x.length; i++) {
    const wi = w === null ? 1 : (w[i] as number);
    total += wi;
    if (Math.sign(x[i] as number) === Math.sign(y[i] as number)) agreed += wi;
  }
  return agreed / total;
}
