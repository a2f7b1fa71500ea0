/**
 * @file What a score of a given size turns out to be: mean effects by bands of |score|.
 *
 * Bands are decades below the group's largest |score|. An effect counts with the sign of its node's score, so that a band's mean
 * effect equals its mean |score| where the score is right on average, and is 0 where it says nothing. Bands and signs are held fixed
 * over resamples.
 */
import { percentileInterval, resampleClusters, timesOf, type Interval } from "./bootstrap.js";
import { clusterMeans, clusterSums, type Clusters, type PromptMatrix } from "./clusters.js";
import { resampledWeights, type NodeDesign } from "./node-weights.js";

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
  readonly mean_effect: Interval;
}

/** What {@link calibrationBands} reads. */
export interface CalibrationInput {
  readonly truth: PromptMatrix;
  readonly score: PromptMatrix;
  readonly clusters: Clusters;
  readonly design: NodeDesign;
  /** Nodes that are compared. */
  readonly members: readonly number[];
  readonly seed: number;
  /** Number of bootstrap resamples. */
  readonly resamples: number;
}

/** The bands that hold nodes, largest scores first; none where no score is above 0. */
export function calibrationBands({
  truth,
  score,
  clusters,
  design,
  members,
  seed,
  resamples: count,
}: CalibrationInput): CalibrationBand[] {
  const scores = clusterMeans(clusterSums(score, clusters), null);
  const effects = clusterSums(truth, clusters);
  const sizeOf = (n: number): number => Math.abs(scores[n] as number);
  const largest = members.reduce((most, n) => Math.max(most, sizeOf(n)), 0);
  const bands = EDGES.map((edge, i) => ({
    from: edge * largest,
    to: i === 0 ? largest : largest * (EDGES[i - 1] ?? 1),
  }))
    .map((band) => ({ ...band, nodes: members.filter((n) => sizeOf(n) > band.from && sizeOf(n) <= band.to) }))
    .filter(({ nodes }) => nodes.length > 0);
  const meanEffect = (nodes: readonly number[], means: Float64Array, weights: Float64Array): number => {
    const known = nodes.filter((n) => !Number.isNaN(means[n]));
    return weightedMean(known, weights, (n) => Math.sign(scores[n] as number) * (means[n] as number));
  };
  const resamples = resampleClusters(clusters, count, seed);
  const nextWeights = resampledWeights(design, seed);
  const replicates = bands.map(() => new Float64Array(resamples.count));
  for (let index = 0; index < resamples.count; index++) {
    const [means, weights] = [clusterMeans(effects, timesOf(resamples, index)), nextWeights()];
    bands.forEach(({ nodes }, b) => {
      (replicates[b] as Float64Array)[index] = meanEffect(nodes, means, weights);
    });
  }
  const means = clusterMeans(effects, null);
  return bands.map(({ from, to, nodes }, b) => ({
    from,
    to,
    n: nodes.length,
    frame_size: nodes.reduce((sum, n) => sum + (design.weights[n] as number), 0),
    mean_score: weightedMean(nodes, design.weights, sizeOf),
    mean_effect: percentileInterval(
      meanEffect(nodes, means, design.weights),
      replicates[b] as Float64Array,
      clusters.count,
    ),
  }));
}

function weightedMean(nodes: readonly number[], weights: Float64Array, value: (n: number) => number): number {
  let [sum, total] = [0, 0];
  for (const n of nodes) {
    sum += (weights[n] as number) * value(n);
    total += weights[n] as number;
  }
  return sum / total;
}
