/**
 * @file A bound on what was not measured: how large a share of a frame may exceed a size, given a random sample of it.
 *
 * 1. Strata h hold shares W_h of the frame; n_h nodes of each were drawn at random, and x nodes of all exceed the size.
 * 2. Were the shares that exceed it p_h, x would have the mean `sum n_h p_h`, which is at least `n p`, with p the frame's share and
 *    n the least `n_h / W_h`. A sum of independent draws falls low less often than a Poisson variable of the same mean.
 * 3. So p is at most the Poisson bound of x over n: 3.0 / n where none of them exceeds it (the rule of three).
 *
 * Drawing without replacement and unequal shares only make the bound safer. Source: Garwood 1936; Hanley and Lippman-Hand 1983;
 * Hoeffding 1956 for 2.
 */

const COVERAGE = 0.95;

/** A stratum of the frame. */
export interface SampledStratum {
  /** Nodes of the frame in it. */
  readonly size: number;
  /** Nodes of it that were drawn and measured. */
  readonly drawn: number;
}

/** Upper 95 % bound of the share of the strata's nodes that exceed a size, of whose sample `exceeding` do; at most 1. */
export function exceedingShare(strata: readonly SampledStratum[], exceeding: number): number {
  const total = strata.reduce((sum, { size }) => sum + size, 0);
  const effective = Math.min(...strata.map(({ size, drawn }) => (drawn * total) / size));
  return effective > 0 ? Math.min(1, poissonBound(exceeding) / effective) : 1;
}

/** The mean at which a Poisson variable is at most `count` in 5 % of cases: 2.996 for 0. */
export function poissonBound(count: number): number {
  let [low, high] = [count, 2 * count + 10];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (atMost(count, middle) > 1 - COVERAGE) low = middle;
    else high = middle;
  }
  return high;
}

/** Chance that a Poisson variable of this mean is at most `count`: the first terms of its series over all of them. */
function atMost(count: number, mean: number): number {
  let [term, first, all] = [1, 0, 0];
  for (let k = 0; k <= count || term > 1e-17 * all; k++) {
    if (k <= count) first += term;
    all += term;
    term *= mean / (k + 1);
  }
  return first / all;
}
