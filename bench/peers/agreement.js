/** @file Whether two computations of the same numbers agree. */

/** Largest difference as a share of the largest magnitude, and the correlation; null where there is nothing to compare. */
export function compare(ours, theirs) {
  if (ours === null) return null;
  if (ours.length !== theirs.length)
    throw new Error(`${ours.length} values of the engine, ${theirs.length} of the peer`);
  let [difference, largest] = [0, 0];
  for (const [i, value] of ours.entries()) {
    difference = Math.max(difference, Math.abs(value - theirs[i]));
    largest = Math.max(largest, Math.abs(theirs[i]));
  }
  return { values: ours.length, difference: difference / largest };
}
