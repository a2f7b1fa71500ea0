/** @file How far two score lists agree on the k largest magnitudes. */

/** A row among the largest, and how much of its weight is within the first k. */
interface Member {
  readonly row: number;
  readonly share: number;
}

/**
 * Overlap of the `k` rows largest by |x| with the `k` largest by |y|, as a share of k; ties go to the earlier row.
 *
 * With weights a row stands for `w` rows of the population that it was sampled from: the list is filled by weight until
 * it holds k, the last row in part, and the overlap adds the smaller of a row's two shares. NaN where the total weight
 * is below k.
 */
export function topKOverlap(x: Float64Array, y: Float64Array, k: number, w: Float64Array | null = null): number {
  const ofX = topK(x, k, w);
  const ofY = new Map(topK(y, k, w).map(({ row, share }) => [row, share]));
  const held = ofX.reduce((sum, { share }) => sum + share, 0);
  if (k <= 0 || held < k * (1 - 1e-9)) return Number.NaN;
  return ofX.reduce((sum, { row, share }) => sum + Math.min(share, ofY.get(row) ?? 0), 0) / k;
}

/** Rows by descending |value| until their weights reach `k`. One pass with a short sorted list. */
function topK(values: Float64Array, k: number, w: Float64Array | null): Member[] {
  const weightOf = (row: number): number => (w === null ? 1 : (w[row] as number));
  const sizeOf = (row: number): number => Math.abs(values[row] as number);
  const rows: number[] = [];
  let held = 0;
  for (let row = 0; row < values.length; row++) {
    const last = rows.at(-1);
    if (held >= k && last !== undefined && sizeOf(row) <= sizeOf(last)) continue;
    let place = rows.length;
    while (place > 0 && sizeOf(rows[place - 1] as number) < sizeOf(row)) place--;
    rows.splice(place, 0, row);
    held += weightOf(row);
    while (rows.length > 0 && held - weightOf(rows.at(-1) as number) >= k) held -= weightOf(rows.pop() as number);
  }
  let left = k;
  return rows.map((row) => {
    const share = Math.min(weightOf(row), left);
    left -= share;
    return { row, share };
  });
}
