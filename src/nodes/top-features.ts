/** @file The strongest features of a site, for circuits that name features instead of using a threshold. */
import { assert } from "../base/assert.js";
import type { Keep } from "./selection.js";

/** How features are ranked. */
export interface FeatureRanking {
  /** Feature scores, `[T, F]`. */
  readonly scores: ArrayLike<number>;
  readonly dSae: number;
  /** Positions that count, 0-based; null for all. */
  readonly positions: readonly number[] | null;
  /** One number per feature over those positions. */
  readonly reduce: "sum" | "max";
  /** `absolute` takes magnitudes before reducing. */
  readonly keep: Keep;
  /** How many features to return; all of them where the site has fewer. */
  readonly count: number;
}

/** Indexes of the `count` strongest features, strongest first; ties go to the smaller index. Source: REFERENCE 5. */
export function topFeatures({ scores, dSae, positions, reduce, keep, count }: FeatureRanking): number[] {
  const rows = positions ?? Array.from({ length: Math.floor(scores.length / dSae) }, (_, t) => t);
  const strength = new Float64Array(dSae).fill(reduce === "sum" ? 0 : Number.NEGATIVE_INFINITY);
  for (const t of rows) {
    assert(t >= 0 && (t + 1) * dSae <= scores.length, `position ${String(t)} lies outside the scores`);
    for (let i = 0; i < dSae; i++) {
      const score = scores[t * dSae + i] ?? Number.NaN;
      const value = keep === "absolute" ? Math.abs(score) : score;
      const before = strength[i] ?? Number.NaN;
      strength[i] = reduce === "sum" ? before + value : Math.max(before, value);
    }
  }
  const order = Array.from(strength.keys());
  // Array.prototype.sort is stable, so equal strengths stay in index order.
  order.sort((a, b) => Math.sign((strength[b] ?? 0) - (strength[a] ?? 0)) || a - b);
  return order.slice(0, count);
}
