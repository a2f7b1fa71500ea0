/**
 * @file Chooses the nodes of one kind whose truth is measured at one site: the strongest, and a random sample of the rest.
 *
 * 1. Rank the frame (nodes whose activation differs in at least one prompt) by |mean score|; ties by position, then index.
 * 2. The first `top` are taken with certainty.
 * 3. The rest, less what other sets take with certainty, is split by rank into bands: top 5 %, next 25 %, remainder. Each gives a third of `random`; a band that runs
 *    short gives its places to the next, and what the last cannot fill goes round once more. Without strata all of it is one band.
 * 4. Within a band the sample is uniform, so its inclusion probability is places / band size.
 */
import { must } from "../base/assert.js";
import { createRng } from "../base/rng.js";
import { comparePositions, type NodePosition } from "./node.js";

/** A member of the frame. */
export interface Candidate {
  readonly position: NodePosition;
  /** The feature, head or neuron; of no meaning where the site has one such node at each position. */
  readonly index: number;
  /** Mean score over prompts. */
  readonly score: number;
}

/** A chosen node with how it came in. */
export interface ChosenNode extends Candidate {
  readonly stratum: "top" | "top_5_percent" | "next_25_percent" | "remainder";
  readonly inclusionProbability: number;
}

/** A stretch of the ranks, up to a share of them. */
interface Band {
  readonly stratum: ChosenNode["stratum"];
  readonly upTo: number;
}

const BANDS: Readonly<Record<NodeSample["strata"], readonly Band[]>> = {
  magnitude: [
    { stratum: "top_5_percent", upTo: 0.05 },
    { stratum: "next_25_percent", upTo: 0.3 },
    { stratum: "remainder", upTo: 1 },
  ],
  none: [{ stratum: "remainder", upTo: 1 }],
};

/** The random nodes of a draw; `seed` and `label` name the random stream. */
export interface NodeSample {
  readonly random: number;
  readonly strata: "magnitude" | "none";
  readonly seed: number;
  readonly label: string;
}

/** By the magnitude of the score, ties by position, then index. */
function ranked<Member extends Candidate>(frame: readonly Member[]): Member[] {
  return [...frame].sort((a, b) => Math.abs(b.score) - Math.abs(a.score) || comparePlaces(a, b));
}

/** The strongest nodes of a frame, which are taken with certainty. */
export function strongestNodes(frame: readonly Candidate[], top: number): ChosenNode[] {
  return ranked(frame)
    .slice(0, top)
    .map((node) => ({ ...node, stratum: "top", inclusionProbability: 1 }));
}

/** A sample of what is left of a frame when all that is taken with certainty is out. */
export function sampledNodes(rest: readonly Candidate[], { random, strata, seed, label }: NodeSample): ChosenNode[] {
  const ordered = ranked(rest);
  const edges = BANDS[strata].map(({ upTo }) => Math.round(ordered.length * upTo));
  const bands = BANDS[strata].map(({ stratum }, i) => ({
    stratum,
    members: ordered.slice(i === 0 ? 0 : edges[i - 1], edges[i]),
  }));
  const places = sharePlaces(
    bands.map(({ members }) => members.length),
    random,
  );
  return bands.flatMap(({ stratum, members }, i): ChosenNode[] => {
    const count = must(places[i], "places");
    const inclusionProbability = count / members.length;
    const picked = createRng(seed, label, stratum).shuffle(members).slice(0, count);
    return picked.map((node) => ({ ...node, stratum, inclusionProbability }));
  });
}

/** By position, then index. */
export function comparePlaces(a: Candidate, b: Candidate): number {
  return comparePositions(a.position, b.position) || a.index - b.index;
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
