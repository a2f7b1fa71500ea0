/**
 * @file How far out a percentile interval must reach when clusters are few.
 *
 * A percentile interval of few units is too narrow, as a normal interval is where Student's is due. The expanded percentile interval
 * takes the replicates' quantile at `Phi(-sqrt(C / (C - 1)) t)` in place of 0.025, t being Student's with C - 1 degrees of freedom.
 * Only sums, products and quotients are used, so that the level has the same bits on every machine. Source: Hesterberg 2015, section 4.
 */

/** The normal quantile of 0.975. */
const NORMAL = 1.959963984540054;

/** Share of the replicates that an expanded 95 % interval leaves out on each side, with C clusters, C at least 3. */
export function tailShare(clusters: number): number {
  const reach = Math.sqrt(clusters / (clusters - 1)) * studentQuantile(clusters - 1);
  return upperTail(reach);
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
  return 0.5 - sum / (rootOfTwoPi * exponential((x * x) / 2));
}

/** `e ** x` for x from 0 to some hundreds, by its series, all of whose terms are positive. */
function exponential(x: number): number {
  let [term, sum] = [1, 0];
  for (let k = 1; term > 1e-18 * sum; k++) {
    sum += term;
    term *= x / k;
  }
  return sum;
}
