/** @file Statistics by their definitions, O(n^2), to hold the fast ones against. */

/** 1-based ranks, ties averaged. */
export function averageRank(values: Float64Array): Float64Array {
  return values.map((v) => values.filter((u) => u < v).length + (values.filter((u) => u === v).length + 1) / 2);
}

/** Kendall's tau-b over all pairs; a pair weighs the product of its rows' weights. NaN where undefined. */
export function kendallByPairs(x: Float64Array, y: Float64Array, w: Float64Array | null): number {
  let [sum, untiedX, untiedY] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    for (let j = 0; j < i; j++) {
      const weight = (w?.[i] ?? 1) * (w?.[j] ?? 1);
      const dx = Math.sign((x[i] ?? 0) - (x[j] ?? 0));
      const dy = Math.sign((y[i] ?? 0) - (y[j] ?? 0));
      sum += weight * dx * dy;
      untiedX += weight * Math.abs(dx);
      untiedY += weight * Math.abs(dy);
    }
  }
  return sum / Math.sqrt(untiedX * untiedY);
}

/** Share of k common to the first k rows of both lists, each sorted by magnitude, ties by row. NaN below k rows. */
export function topKBySorting(x: Float64Array, y: Float64Array, k: number): number {
  if (x.length < k) return Number.NaN;
  const first = (values: Float64Array): Set<number> =>
    new Set(
      Array.from(values, (value, row) => ({ size: Math.abs(value), row }))
        .sort((a, b) => b.size - a.size || a.row - b.row)
        .slice(0, k)
        .map(({ row }) => row),
    );
  return [...first(x)].filter((row) => first(y).has(row)).length / k;
}
