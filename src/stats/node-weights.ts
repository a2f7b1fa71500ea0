/**
 * @file Resampling of the nodes of a stratified sample: rescaled weights.
 *
 * 1. A stratum of n nodes was drawn without replacement from a frame of N; each stands for N / n.
 * 2. A resample draws n - 1 of the n with replacement; r is how often a node came.
 * 3. Its weight is `(N / n) (1 - l + l r n / (n - 1))`, with `l = sqrt(1 - n / N)`: a stratum that was taken whole keeps its weights,
 *    and the variance of any weighted sum is the one of drawing without replacement.
 *
 * A stratum of one sampled node cannot say how nodes differ: it keeps its weight, and intervals are too narrow by its share.
 * Source: Rao and Wu 1988, section 4; Rao, Wu and Yue 1992.
 */
import { assert } from "../base/assert.js";
import { createRng, type Rng } from "../base/rng.js";
import { groupIndexes } from "./clusters.js";

/** How the nodes of a list were drawn. */
export interface NodeDesign {
  /** 1 / inclusion probability of each node, `[N]`. */
  readonly weights: Float64Array;
  /** Name of the stratum that each node was drawn from, `[N]`. Nodes of one stratum have one weight. */
  readonly strata: readonly string[];
}

interface Stratum {
  readonly members: readonly number[];
  readonly weight: number;
  /** `sqrt(1 - n / N)`. */
  readonly share: number;
  readonly rng: Rng;
}

/** The weights of one resample after another; equal seeds give equal ones. */
export function resampledWeights({ weights, strata }: NodeDesign, seed: number): () => Float64Array {
  const sampled = [...groupIndexes(strata)].flatMap(([name, members]): Stratum[] => {
    const weight = weights[members[0] as number] as number;
    assert(
      members.every((n) => weights[n] === weight),
      `stratum ${name} has one weight`,
    );
    if (weight === 1 || members.length < 2) return [];
    return [{ members, weight, share: Math.sqrt(1 - 1 / weight), rng: createRng(seed, "bootstrap over nodes", name) }];
  });
  return () => {
    const drawn = weights.slice();
    for (const stratum of sampled) drawInto(drawn, stratum);
    return drawn;
  };
}

function drawInto(weights: Float64Array, { members, weight, share, rng }: Stratum): void {
  const n = members.length;
  for (const member of members) weights[member] = weight * (1 - share);
  const each = (weight * share * n) / (n - 1);
  for (let draw = 1; draw < n; draw++) {
    const member = members[rng.int(n)] as number;
    weights[member] = (weights[member] as number) + each;
  }
}
