/**
 * @file Node means in many resamples at once: a product of matrices, draws by clusters times clusters by nodes.
 *
 * 1. Clusters are taken in stretches, and draws in blocks: how often each draw of a block holds a stretch's clusters fits into a cache.
 * 2. Four draws at four nodes are added up together, in sixteen sums that stay in registers.
 * 3. Each sum adds its clusters one after the other, from the first to the last: the stretches, the fours, and whoever computes other
 *    draws or nodes change none of its bits. They are those of {@link clusterMeans}.
 */
import { must } from "../base/assert.js";
import type { ClusterSums } from "./clusters.js";

/** Clusters of a stretch. */
const STRETCH = 256;
/** Draws of a block. */
const BLOCK = 128;

/** How often draws hold each cluster, `[draws, C]`. */
export type DrawTimes = Uint32Array | Uint8Array;

/** Means of each node in each draw, `[draws, N]`, as {@link clusterMeans} gives them one by one. Sums must be finite. */
export function resampledMeans(sums: ClusterSums, times: DrawTimes): Float64Array {
  return must(resampledMeansOf([sums], times)[0], "means");
}

/**
 * {@link resampledMeans} of several quantities of the same nodes, which the same prompts have. They are one product: to bring the times
 * into order takes as long as a few columns.
 */
export function resampledMeansOf(quantities: readonly ClusterSums[], times: DrawTimes): Float64Array[] {
  const { clusters, nodes, counts } = must(quantities[0], "quantity");
  const draws = clusters === 0 ? 0 : times.length / clusters;
  const { distinct, of } = distinctColumns(counts, counts.length === clusters ? 1 : nodes);
  const all = sideBySide(clusters, [distinct, ...quantities.map(({ sums }) => sums)]);
  const columns = clusters === 0 ? 0 : all.length / clusters;
  const sums = weightedSums(times, draws, all, columns);
  return quantities.map((_, q) => {
    const first = columns - (quantities.length - q) * nodes;
    const means = new Float64Array(draws * nodes);
    for (let draw = 0, to = 0; draw < draws; draw++) {
      const row = draw * columns;
      for (let n = 0; n < nodes; n++, to++)
        means[to] = (sums[row + first + n] as number) / (sums[row + (of.length === 1 ? 0 : (of[n] as number))] as number); // prettier-ignore
    }
    return means;
  });
}

/** Matrices of as many rows, as one. */
function sideBySide(rows: number, matrices: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(matrices.reduce((sum, { length }) => sum + length, 0));
  let place = 0;
  for (let row = 0; row < rows; row++)
    for (const matrix of matrices) {
      const width = matrix.length / rows;
      for (let i = row * width; i < (row + 1) * width; i++) all[place++] = matrix[i] as number;
    }
  return all;
}

/** The columns of a matrix that differ, `[rows, distinct]`, and which of them each column is. */
function distinctColumns(
  values: Float64Array,
  columns: number,
): { readonly distinct: Float64Array; readonly of: Int32Array } {
  const rows = columns === 0 ? 0 : values.length / columns;
  const firsts: number[] = [];
  const of = Int32Array.from({ length: columns }, (_, n) => {
    const known = firsts.findIndex((first) => isSameColumn(values, columns, first, n));
    return known >= 0 ? known : firsts.push(n) - 1;
  });
  const distinct = new Float64Array(rows * firsts.length);
  for (let row = 0; row < rows; row++)
    firsts.forEach((n, i) => (distinct[row * firsts.length + i] = values[row * columns + n] as number));
  return { distinct, of };
}

function isSameColumn(values: Float64Array, columns: number, a: number, b: number): boolean {
  for (let at = 0; at < values.length; at += columns) if (values[at + a] !== values[at + b]) return false;
  return true;
}

/** `weights [draws, rows]` times `values [rows, columns]`. */
function weightedSums(weights: DrawTimes, draws: number, values: Float64Array, columns: number): Float64Array {
  const rows = draws === 0 ? 0 : weights.length / draws;
  const [height, width] = [fours(draws), fours(columns)];
  const sums = new Float64Array(height * width);
  const [times, panels] = [new Float64Array(BLOCK * STRETCH), new Float64Array(width * STRETCH)];
  for (let first = 0; first < rows; first += STRETCH) {
    const length = Math.min(STRETCH, rows - first);
    packPanels(values, { columns, first, length }, panels);
    for (let block = 0; block < draws; block += BLOCK) {
      packTimes(weights, { draws, rows, first, length, block }, times);
      const end = Math.min(height, block + BLOCK);
      for (let column = 0; column < columns; column += 4)
        for (let draw = block; draw < end; draw += 4)
          addTile(times, (draw - block) * length, panels, column * length, length, sums, draw * width + column, width); // prettier-ignore
    }
  }
  return width === columns ? sums.subarray(0, draws * columns) : trimmed(sums, draws, columns);
}

const fours = (count: number): number => 4 * Math.ceil(count / 4);

function trimmed(values: Float64Array, rows: number, columns: number): Float64Array {
  const all = new Float64Array(rows * columns);
  const width = fours(columns);
  for (let row = 0; row < rows; row++) all.set(values.subarray(row * width, row * width + columns), row * columns);
  return all;
}

/** Four draws side by side, cluster after cluster; zeros in the place of draws that are not there. */
function packTimes(
  weights: DrawTimes,
  { draws, rows, first, length, block }: Record<"draws" | "rows" | "first" | "length" | "block", number>,
  packed: Float64Array,
): void {
  const end = Math.min(fours(draws), block + BLOCK);
  for (let draw = block; draw < end; draw++) {
    const to = (draw - block - (draw % 4)) * length + (draw % 4);
    const from = draw * rows + first;
    if (draw < draws) for (let k = 0; k < length; k++) packed[to + 4 * k] = weights[from + k] as number;
    else for (let k = 0; k < length; k++) packed[to + 4 * k] = 0;
  }
}

/** Four columns side by side, row after row, and the next four behind them; zeros in the place of columns that are not there. */
function packPanels(
  values: Float64Array,
  { columns, first, length }: Record<"columns" | "first" | "length", number>,
  panels: Float64Array,
): void {
  panels.fill(0);
  for (let k = 0; k < length; k++) {
    const from = (first + k) * columns;
    for (let column = 0; column < columns; column++)
      panels[(column - (column % 4)) * length + 4 * k + (column % 4)] = values[from + column] as number;
  }
}

/** Adds the products of a stretch to sixteen sums. Written out, because loops over the fours keep the sums in memory. */
function addTile(
  times: Float64Array,
  timesAt: number,
  panels: Float64Array,
  panelAt: number,
  length: number,
  sums: Float64Array,
  r0: number,
  width: number,
): void {
  const [r1, r2, r3] = [r0 + width, r0 + 2 * width, r0 + 3 * width] as const;
  let s00 = sums[r0] as number;
  let s01 = sums[r0 + 1] as number;
  let s02 = sums[r0 + 2] as number;
  let s03 = sums[r0 + 3] as number;
  let s10 = sums[r1] as number;
  let s11 = sums[r1 + 1] as number;
  let s12 = sums[r1 + 2] as number;
  let s13 = sums[r1 + 3] as number;
  let s20 = sums[r2] as number;
  let s21 = sums[r2 + 1] as number;
  let s22 = sums[r2 + 2] as number;
  let s23 = sums[r2 + 3] as number;
  let s30 = sums[r3] as number;
  let s31 = sums[r3 + 1] as number;
  let s32 = sums[r3 + 2] as number;
  let s33 = sums[r3 + 3] as number;
  for (let at = panelAt, t = timesAt; at < panelAt + 4 * length; at += 4, t += 4) {
    const v0 = panels[at] as number;
    const v1 = panels[at + 1] as number;
    const v2 = panels[at + 2] as number;
    const v3 = panels[at + 3] as number;
    const t0 = times[t] as number;
    const t1 = times[t + 1] as number;
    const t2 = times[t + 2] as number;
    const t3 = times[t + 3] as number;
    s00 += t0 * v0;
    s01 += t0 * v1;
    s02 += t0 * v2;
    s03 += t0 * v3;
    s10 += t1 * v0;
    s11 += t1 * v1;
    s12 += t1 * v2;
    s13 += t1 * v3;
    s20 += t2 * v0;
    s21 += t2 * v1;
    s22 += t2 * v2;
    s23 += t2 * v3;
    s30 += t3 * v0;
    s31 += t3 * v1;
    s32 += t3 * v2;
    s33 += t3 * v3;
  }
  sums[r0] = s00;
  sums[r0 + 1] = s01;
  sums[r0 + 2] = s02;
  sums[r0 + 3] = s03;
  sums[r1] = s10;
  sums[r1 + 1] = s11;
  sums[r1 + 2] = s12;
  sums[r1 + 3] = s13;
  sums[r2] = s20;
  sums[r2 + 1] = s21;
  sums[r2 + 2] = s22;
  sums[r2 + 3] = s23;
  sums[r3] = s30;
  sums[r3 + 1] = s31;
  sums[r3 + 2] = s32;
  sums[r3 + 3] = s33;
}
