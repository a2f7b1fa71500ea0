/**
 * @file Numbers of about 106 bits as unevaluated sums of two float64, by additions and products alone: the same bits on every engine.
 *
 * Source: Dekker 1971; Joldes, Muller and Popescu 2017, "Tight and rigorous error bounds for basic building blocks of double-word
 * arithmetic" (algorithms 4, 6, 9, 12 and 17).
 */

/** The number `high + low`, where `high` is that sum rounded to float64. */
export interface DoubleDouble {
  readonly high: number;
  readonly low: number;
}

/** A float64 as it is. */
export const exactly = (high: number): DoubleDouble => ({ high, low: 0 });

/** `a + b` without rounding. */
function sumOf(a: number, b: number): DoubleDouble {
  const high = a + b;
  const fromB = high - a;
  return { high, low: a - (high - fromB) + (b - fromB) };
}

/** `a + b` without rounding, where `a` is zero or not the smaller in size. */
function sumOfOrdered(a: number, b: number): DoubleDouble {
  const high = a + b;
  return { high, low: b - (high - a) };
}

/** 2^27 + 1: the product with it parts a float64 into halves of 26 bits. */
const HALVES = 134217729;

/** `a b` without rounding, for sizes between 1e-290 and 1e290. */
export function productOf(a: number, b: number): DoubleDouble {
  const high = a * b;
  const ofA = HALVES * a;
  const ofB = HALVES * b;
  const a1 = ofA - (ofA - a);
  const b1 = ofB - (ofB - b);
  const [a2, b2] = [a - a1, b - b1];
  return { high, low: a2 * b2 - (high - a1 * b1 - a2 * b1 - a1 * b2) };
}

/** `x + y`. */
export function plus(x: DoubleDouble, y: DoubleDouble): DoubleDouble {
  const highs = sumOf(x.high, y.high);
  const lows = sumOf(x.low, y.low);
  const sum = sumOfOrdered(highs.high, highs.low + lows.high);
  return sumOfOrdered(sum.high, sum.low + lows.low);
}

/** `x y`. */
export function times(x: DoubleDouble, y: DoubleDouble): DoubleDouble {
  const highs = productOf(x.high, y.high);
  return sumOfOrdered(highs.high, highs.low + (x.high * y.low + x.low * y.high));
}

/** `x / y`. */
export function over(x: DoubleDouble, y: DoubleDouble): DoubleDouble {
  const quotient = x.high / y.high;
  const back = times(y, exactly(quotient));
  const rest = x.high - back.high + (x.low - back.low);
  return sumOfOrdered(quotient, rest / y.high);
}

/** `-x`. */
export const minus = (x: DoubleDouble): DoubleDouble => ({ high: -x.high, low: -x.low });
