/** @file Seeded randomness. A generator is named by a seed and labels, so two uses of one sweep seed never share a stream. */
import { createHash } from "node:crypto";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { cosineOf, logarithmOf } from "./elementary-functions.js";

/** A seeded stream of random numbers. */
export interface Rng {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Uniform integer in [0, n), n at least 1. */
  int(n: number): number;
  /** Standard normal. Source: Box and Muller 1958. */
  normal(): number;
  /** A shuffled copy. Source: Fisher and Yates. */
  shuffle<T>(items: readonly T[]): T[];
}

/** Makes the generator of `seed` and `labels`; equal arguments give the same stream on every machine. */
export function createRng(seed: number, ...labels: (string | number)[]): Rng {
  const generator = xoroshiro128plus(
    createHash("sha256")
      .update(JSON.stringify([seed, ...labels]))
      .digest()
      .readInt32LE(),
  );
  const uniform = (): number => uniformFloat64(generator);
  const int = (n: number): number => uniformInt(generator, 0, n - 1);
  return {
    uniform,
    int,
    normal: () => Math.sqrt(-2 * logarithmOf(1 - uniform())) * cosineOf(2 * Math.PI * uniform()),
    shuffle: (items) => {
      const shuffled = [...items];
      for (let i = shuffled.length - 1; i > 0; i--) {
        const j = int(i + 1);
        [shuffled[i], shuffled[j]] = [shuffled[j] as never, shuffled[i] as never];
      }
      return shuffled;
    },
  };
}
