/**
 * @file Chooses the feature nodes whose truth is measured at one site: the strongest, and a stratified random sample of the rest.
 *
 * 1. Rank the frame (nodes whose activation differs in at least one prompt) by |mean score|; ties by position, then feature.
 * 2. The first `top` are taken with certainty.
 * 3. The rest is split by rank into bands: top 5 %, next 25 %, remainder. Each gives a third of `random`; a band that runs
 *    short gives its places to the next, and what the last cannot fill goes round once more.
 * 4. Within a band the sample is uniform, so its inclusion probability is places / band size.
 */
import { must } from "../../base/assert.js";
import { createRng } from "../../base/rng.js";
import { positionColumn } from "../../nodes/node-columns.js";
import type { NodePosition } from "../../nodes/node.js";

/** A member of the frame. */
export interface Candidate {
  readonly position: NodePosition;
  readonly feature: number;
  /** Mean score over prompts. */
  readonly score: number;
}

/** A chosen node with how it came in. */
export interface ChosenFeature extends Candidate {
  readonly stratum: "top" | "top_5_percent" | "next_25_percent" | "remainder";
  readonly inclusionProbability: number;
}

const BANDS = [
  { stratum: "top_5_percent", upTo: 0.05 },
  { stratum: "next_25_percent", upTo: 0.3 },
  { stratum: "remainder", upTo: 1 },
] as const;

/** How many nodes to choose; `seed` and `label` name the random stream. */
export interface FeatureSample {
  readonly top: number;
  readonly random: number;
  readonly seed: number;
  readonly label: string;
}

/** The chosen nodes, ordered by position, then feature. */
export function chooseFeatures(
  frame: readonly Candidate[],
  { top, random, seed, label }: FeatureSample,
): ChosenFeature[] {
  const ranked = [...frame].sort((a, b) => Math.abs(b.score) - Math.abs(a.score) || comparePlaces(a, b));
  const strongest: ChosenFeature[] = ranked
    .slice(0, top)
    .map((node) => ({ ...node, stratum: "top", inclusionProbability: 1 }));
  const rest = ranked.slice(top);
  const edges = BANDS.map(({ upTo }) => Math.round(rest.length * upTo));
  const bands = BANDS.map(({ stratum }, i) => ({ stratum, members: rest.slice(i === 0 ? 0 : edges[i - 1], edges[i]) }));
  const places = sharePlaces(
    bands.map(({ members }) => members.length),
    random,
  );
  const sampled = bands.flatMap(({ stratum, members }, i): ChosenFeature[] => {
    const count = must(places[i], "places");
    const inclusionProbability = count / members.length;
    const picked = createRng(seed, label, stratum).shuffle(members).slice(0, count);
    return picked.map((node) => ({ ...node, stratum, inclusionProbability }));
  });
  return [...strongest, ...sampled].sort(comparePlaces);
}

/** By position, then feature. */
function comparePlaces(a: Candidate, b: Candidate): number {
  return positionColumn(a.position) - positionColumn(b.position) || a.feature - b.feature;
}

/** Splits `total` places evenly over bands of the given sizes; earlier bands take the odd ones. */
function sharePlaces(sizes: readonly number[], total: number): number[] {
  const places = sizes.map(() => 0);
  let left = Math.min(
    total,
    sizes.reduce((a, b) => a + b, 0),
  );
  let carried = 0;
  sizes.forEach((size, i) => {
    const share = Math.floor(total / sizes.length) + (i < total % sizes.length ? 1 : 0) + carried;
    const taken = Math.min(size, share, left);
    places[i] = taken;
    carried = share - taken;
    left -= taken;
  });
  sizes.forEach((size, i) => {
    const more = Math.min(left, size - must(places[i], "places"));
    places[i] = must(places[i], "places") + more;
    left -= more;
  });
  return places;
}
