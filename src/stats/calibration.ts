/**
 * @file What a score of a given size turns out to be: mean effects by bands of |score|.
 *
 * Bands are decades below the group's largest |score|. An effect counts with the sign of its node's score, so that a band's mean
 * effect equals its mean |score| where the score is right on average, and is 0 where it says nothing. There is no interval: bands are
 * themselves drawn, and intervals over resamples held the known mean in .70 to .79 of samples.
 */

/** Lower edges of the bands as shares of the largest |score|; the last band holds all that is smaller. */
const EDGES = [0.1, 0.01, 0.001, 0] as const;

/** Nodes of one band. */
export interface CalibrationBand {
  /** Bounds of |score|: above the first, up to the second. */
  readonly from: number;
  readonly to: number;
  readonly n: number;
  /** How many nodes of the frame they stand for. */
  readonly frame_size: number;
  /** Weighted mean of |score|. */
  readonly mean_score: number;
  /** Weighted mean effect in the direction of the score. */
  readonly mean_effect: number;
}

/** What {@link calibrationBands} reads, `[N]` each. */
export interface CalibrationInput {
  /** Mean effects and mean scores. */
  readonly effects: Float64Array;
  readonly scores: Float64Array;
  /** How many nodes of the frame each node stands for. */
  readonly weights: Float64Array;
  /** Nodes that are compared. */
  readonly members: readonly number[];
}

/** The bands that hold nodes, largest scores first; none where no score is above 0. */
export function calibrationBands({ effects, scores, weights, members }: CalibrationInput): CalibrationBand[] {
  const sizeOf = (n: number): number => Math.abs(scores[n] as number);
  const largest = members.reduce((most, n) => Math.max(most, sizeOf(n)), 0);
  return EDGES.flatMap((edge, i) => {
    const [from, to] = [edge * largest, i === 0 ? largest : largest * (EDGES[i - 1] ?? 1)];
    const nodes = members.filter((n) => sizeOf(n) > from && sizeOf(n) <= to);
    if (nodes.length === 0) return [];
    return [
      {
        from,
        to,
        n: nodes.length,
        frame_size: nodes.reduce((sum, n) => sum + (weights[n] as number), 0),
        mean_score: weightedMean(nodes, weights, sizeOf),
        mean_effect: weightedMean(nodes, weights, (n) => Math.sign(scores[n] as number) * (effects[n] as number)),
      },
    ];
  });
}

function weightedMean(nodes: readonly number[], weights: Float64Array, value: (n: number) => number): number {
  let [sum, total] = [0, 0];
  for (const n of nodes) {
    sum += (weights[n] as number) * value(n);
    total += weights[n] as number;
  }
  return sum / total;
}
