/**
 * @file How far out a percentile interval must reach when clusters are few.
 *
 * A percentile interval of few units is too narrow, as a normal interval is where Student's is due. The expanded percentile interval
 * takes the replicates' quantile at `Phi(-sqrt(C / (C - 1)) t)` in place of 0.025, t being Student's with C - 1 degrees of freedom.
 * No function of the machine's own decides the level, so that it has the same bits everywhere. Source: Hesterberg 2015, section 4.
 */
import { exponentialOf } from "../base/elementary-functions.js";

/** The normal quantile of 0.975. */
export const NORMAL = 1.959963984540054;

/** Share of the replicates that an expanded 95 % interval leaves out on each side, with C clusters, C at least 3. */
export function tailShare(clusters: number): number {
  return upperTail(studentReach(clusters));
}

/** How many standard errors, taken over C clusters as if they were all there are, a 95 % interval reaches. */
export function studentReach(clusters: number): number {
  return Math.sqrt(clusters / (clusters - 1)) * studentQuantile(clusters - 1);
}

/** Student's t at 0.975. Within 3e-4 of it from 5 degrees of freedom. Source: Abramowitz and Stegun 26.7.5. */
export function studentQuantile(degrees: number): number {
  const z = NORMAL;
  const square = z * z;
  const [z3, z5] = [z * square, z * square * square];
  const [z7, z9] = [z5 * square, z5 * square * square];
  const terms = [
    (z3 + z) / 4,
    (5 * z5 + 16 * z3 + 3 * z) / 96,
    (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / 384,
    (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * z) / 92_160,
  ];
  return terms.reduceRight((sum, term) => (sum + term) / degrees, 0) + z;
}

/** `1 - Phi(x)` for x from 0 to about 6. Source: Abramowitz and Stegun 26.2.11. */
function upperTail(x: number): number {
  const rootOfTwoPi = 2.5066282746310002;
  let [term, sum] = [x, 0];
  for (let k = 1; term > 1e-18; k++) {
    sum += term;
    term *= (x * x) / (2 * k + 1);
  }
  return 0.5 - sum / (rootOfTwoPi * exponentialOf((x * x) / 2));
}
