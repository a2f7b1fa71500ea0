/** @file Ranks of values, with ties: the part that rank correlations share. */

/** The distinct values of an array, numbered in ascending order. */
export interface Levels {
  /** Level of each value, `[n]`, 0 for the smallest. */
  readonly of: Int32Array;
  /** Number of distinct values. */
  readonly count: number;
}

/** Numbers the distinct values; 0 and -0 are one level. O(n log n). */
export function levelsOf(values: Float64Array): Levels {
  const distinct = values.slice().sort();
  let count = 0;
  for (const value of distinct) {
    if (count === 0 || value !== distinct[count - 1]) distinct[count++] = value;
  }
  const of = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) of[i] = lowerBound(distinct, count, values[i] as number);
  return { of, count };
}

/** First index of the ascending `sorted[0 .. count]` that is not below `value`. */
function lowerBound(sorted: Float64Array, count: number, value: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Total weight at each level, `[count]`; every row weighs 1 without weights. */
export function levelWeights({ of, count }: Levels, w: Float64Array | null): Float64Array {
  const total = new Float64Array(count);
  for (let i = 0; i < of.length; i++) {
    const level = of[i] as number;
    total[level] = (total[level] as number) + (w === null ? 1 : (w[i] as number));
  }
  return total;
}

/**
 * Weight below each row plus half of the weight tied with it, itself included, `[n]`. Without weights this is the
 * average rank less one half, and so has the average rank's correlations.
 */
export function midranks(levels: Levels, w: Float64Array | null): Float64Array {
  const rank = levelWeights(levels, w);
  let below = 0;
  for (let level = 0; level < rank.length; level++) {
    const here = rank[level] as number;
    rank[level] = below + here / 2;
    below += here;
  }
  const ranks = new Float64Array(levels.of.length);
  for (let i = 0; i < ranks.length; i++) ranks[i] = rank[levels.of[i] as number] as number;
  return ranks;
}

/** Row numbers by ascending level, ties in row order, `[n]`. Counting sort, O(n). */
export function orderByLevel({ of, count }: Levels): Int32Array {
  const start = new Int32Array(count + 1);
  for (const level of of) start[level + 1] = (start[level + 1] as number) + 1;
  for (let level = 0; level < count; level++)
    start[level + 1] = (start[level + 1] as number) + (start[level] as number);
  const order = new Int32Array(of.length);
  for (let i = 0; i < of.length; i++) {
    const level = of[i] as number;
    const place = start[level] as number;
    order[place] = i;
    start[level] = place + 1;
  }
  return order;
}
