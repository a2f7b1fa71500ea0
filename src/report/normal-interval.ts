/** @file Intervals of means by the normal approximation. */

/** 97.5 % quantile of the standard normal distribution. */
const NORMAL_95 = 1.96;

/** A mean with its 95 % interval from its standard error; without one where that is undefined. */
export function around(mean: number, sem: number): { value: number; low: number | null; high: number | null } {
  if (!Number.isFinite(sem)) return { value: mean, low: null, high: null };
  return { value: mean, low: mean - NORMAL_95 * sem, high: mean + NORMAL_95 * sem };
}
