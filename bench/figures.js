/** @file Figures of benches: medians, and numbers with as many digits as mean something. */

/** The middle value; of an even number, the larger of the two. */
export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** A number with three digits that count. */
export function round(value) {
  return Number(value.toPrecision(3));
}
