/**
 * @file Kendall's tau-b in O(n log n), with optional weights.
 *
 * 1. Number the distinct values of x and of y.
 * 2. Walk the rows by ascending x, one group of tied x at a time.
 * 3. A Fenwick tree over the levels of y holds the weight of all rows with a smaller x: what lies below a row's y is
 *    concordant with it, what lies above is discordant.
 * 4. Add the group to the tree; go on.
 *
 * A pair of rows weighs the product of their weights.
 */
import { assert } from "../base/assert.js";
import { isConstant } from "./correlation.js";
import { levelsOf, levelWeights, orderByLevel, type Levels } from "./rank.js";

/**
 * Kendall's tau-b of paired values `[n]`: `(C - D) / sqrt((pairs not tied in x) (pairs not tied in y))`. NaN where all
 * values of x or of y are equal but for rounding. Source: Kendall 1945; the tree in place of Knight's merge sort (1966).
 */
export function kendallTauB(x: Float64Array, y: Float64Array, w: Float64Array | null = null): number {
  return isConstant(x) || isConstant(y) ? Number.NaN : kendallOfLevels(levelsOf(x), levelsOf(y), w);
}

/** {@link kendallTauB} of values whose levels are known already, and which are known to vary. */
export function kendallOfLevels(x: Levels, y: Levels, w: Float64Array | null): number {
  assert(x.of.length === y.of.length, "paired values differ in length");
  if (x.count < 2 || y.count < 2) return Number.NaN;
  const scale = Math.sqrt(untiedPairs(x, w)) * Math.sqrt(untiedPairs(y, w));
  return Math.max(-1, Math.min(1, concordance(x, y, w) / scale));
}

/** Weight of all pairs whose levels differ: (square of the sum - sum of the squares) / 2. */
function untiedPairs(levels: Levels, w: Float64Array | null): number {
  let sum = 0;
  let squares = 0;
  for (const weight of levelWeights(levels, w)) {
    sum += weight;
    squares += weight * weight;
  }
  return (sum * sum - squares) / 2;
}

/** Weight of concordant pairs less that of discordant pairs. */
function concordance(x: Levels, y: Levels, w: Float64Array | null): number {
  const order = orderByLevel(x);
  const tree = new Float64Array(y.count + 1);
  let inTree = 0;
  let sum = 0;
  let start = 0;
  while (start < order.length) {
    const level = x.of[order[start] as number];
    let end = start;
    for (; end < order.length && x.of[order[end] as number] === level; end++) {
      const row = order[end] as number;
      const yLevel = y.of[row] as number;
      const below = prefix(tree, yLevel);
      const above = inTree - prefix(tree, yLevel + 1);
      sum += (w === null ? 1 : (w[row] as number)) * (below - above);
    }
    for (; start < end; start++) {
      const row = order[start] as number;
      const weight = w === null ? 1 : (w[row] as number);
      add(tree, y.of[row] as number, weight);
      inTree += weight;
    }
  }
  return sum;
}

/** Sum of the tree's first `count` entries. Source: Fenwick 1994. */
function prefix(tree: Float64Array, count: number): number {
  let sum = 0;
  for (let i = count; i > 0; i &= i - 1) sum += tree[i] as number;
  return sum;
}

function add(tree: Float64Array, index: number, weight: number): void {
  for (let i = index + 1; i < tree.length; i += i & -i) tree[i] = (tree[i] as number) + weight;
}
