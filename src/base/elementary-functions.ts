/**
 * @file Powers, exponentials, logarithms, sines and cosines of float64, equal in every bit on every engine.
 *
 * ECMAScript leaves `**` and most of `Math` to the engine, and V8's give other last bits from version to version. These use what IEEE 754
 * fixes: sums, products, quotients. Each is computed with some 100 bits and rounded once. So results are correctly rounded, but for about one
 * argument in 2^40 that lies too close to the middle of two numbers.
 *
 * 1. Reduce the argument: by multiples of ln 2, of powers of two, of pi / 2.
 * 2. Sum a series in double-double arithmetic (double-double.ts).
 * 3. Put back what was reduced, which is exact, and round.
 *
 * Numbers below the normal ones (2.2e-308) are rounded twice.
 */
import { assert, must } from "./assert.js";
import { type DoubleDouble, exactly, minus, over, plus, productOf, times } from "./double-double.js";

const ONE = exactly(1);
const LN_2: DoubleDouble = { high: 0.6931471805599453, low: 2.3190468138462996e-17 };
/** pi / 2 in parts, the largest first. */
const HALF_PI = [1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33] as const;

/** Angles up to here are turned by multiples of pi / 2 with all bits that matter. */
const LARGEST_ANGLE = 1e9;

/** Terms until 0.79^n / n! is below 2^-106. */
const TAYLOR_TERMS = 30;
/** Terms until 0.172^(2 n) / (2 n + 1) is below 2^-106. */
const LOGARITHM_TERMS = 21;

/** 1 / n! from n = 0. */
const INVERSE_FACTORIALS = Array.from({ length: TAYLOR_TERMS }).reduce<DoubleDouble[]>(
  (list, _, n) => [...list, n === 0 ? ONE : over(must(list[n - 1], "1 / n!"), exactly(n))],
  [],
);

/** 1 / (2 n + 1) from n = 0. */
const INVERSE_ODDS = Array.from({ length: LOGARITHM_TERMS }, (_, n) => over(ONE, exactly(2 * n + 1)));

/** e^x. */
export function exponentialOf(x: number): number {
  return exponential(exactly(x));
}

/** The natural logarithm of x; -Infinity at 0, NaN below. */
export function logarithmOf(x: number): number {
  if (x === 0) return -Infinity;
  return x > 0 && x < Infinity ? logarithm(x).high : x > 0 ? x : Number.NaN;
}

/** x^y, for x above 0. Exact wherever y is a whole number and x^y a float64. */
export function powerOf(x: number, y: number): number {
  assert(x > 0 && x < Infinity && Number.isFinite(y), `power ${String(y)} of ${String(x)}`);
  if (Number.isInteger(y) && Math.abs(y) <= 64) {
    const whole = wholePower(x, Math.abs(y));
    if (whole.high > 1e-290 && whole.high < 1e290) return y < 0 ? over(ONE, whole).high : whole.high;
  }
  return exponential(times(logarithm(x), exactly(y)));
}

/** The cosine of x in radians, up to 1e9. */
export function cosineOf(x: number): number {
  return turned(x, 1);
}

/** The sine of x in radians, up to 1e9. */
export function sineOf(x: number): number {
  return turned(x, 0);
}

/** x^n by squaring, for whole n from 0. */
function wholePower(x: number, n: number): DoubleDouble {
  let [power, square] = [ONE, exactly(x)];
  for (let left = n; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) power = times(power, square);
    square = times(square, square);
  }
  return power;
}

function exponential(x: DoubleDouble): number {
  if (!(x.high < 710 && x.high > -746)) return x.high < 0 ? 0 : x.high > 0 ? Infinity : Number.NaN;
  const twos = Math.round(x.high / LN_2.high);
  const rest = plus(x, minus(times(LN_2, exactly(twos))));
  return scaled(series(INVERSE_FACTORIALS, 15, rest).high, twos);
}

/** ln(2^e m) = e ln 2 + 2 artanh((m - 1) / (m + 1)), with m between the roots of 1/2 and 2. */
function logarithm(x: number): DoubleDouble {
  const [mantissa, exponent] = partsOf(x);
  const slope = over(exactly(mantissa - 1), plus(exactly(mantissa), ONE));
  const half = times(slope, series(INVERSE_ODDS, 12, times(slope, slope)));
  return plus(times(LN_2, exactly(exponent)), plus(half, half));
}

/** The sine of x, `quarters` quarter turns on. */
function turned(x: number, quarters: number): number {
  assert(Math.abs(x) <= LARGEST_ANGLE, `an angle of ${String(x)}`);
  const turns = Math.round(x / HALF_PI[0]);
  let rest = exactly(x);
  for (const part of HALF_PI) rest = plus(rest, minus(productOf(turns, part)));
  const quarter = (((turns + quarters) % 4) + 4) % 4;
  const square = minus(times(rest, rest));
  const value = quarter % 2 === 0 ? times(rest, series(everySecond(1), 9, square)) : series(everySecond(0), 9, square);
  return quarter < 2 ? value.high : -value.high;
}

const SECONDS = [0, 1].map((first) => INVERSE_FACTORIALS.filter((_, n) => n % 2 === first));
const everySecond = (first: 0 | 1): readonly DoubleDouble[] => must(SECONDS[first], "coefficients");

/** The sum of `coefficients[n] x^n`; the terms from `small` on are below 2^-53 of the sum, and float64 gives them all bits that matter. */
function series(coefficients: readonly DoubleDouble[], small: number, x: DoubleDouble): DoubleDouble {
  const coefficient = (n: number): DoubleDouble => must(coefficients[n], "coefficient");
  let tail = 0;
  for (let n = coefficients.length - 1; n >= small; n--) tail = tail * x.high + coefficient(n).high;
  let sum = exactly(tail);
  for (let n = small - 1; n >= 0; n--) sum = plus(times(sum, x), coefficient(n));
  return sum;
}

const bits = new DataView(new ArrayBuffer(8));

/** 2^n, for the exponents of normal numbers. */
function powerOfTwo(n: number): number {
  bits.setFloat64(0, 0);
  bits.setUint16(0, (n + 1023) * 16);
  return bits.getFloat64(0);
}

/** x 2^n, in two steps: 2^n alone may be too large or too small. */
function scaled(x: number, n: number): number {
  const half = Math.trunc(n / 2);
  return x * powerOfTwo(half) * powerOfTwo(n - half);
}

/** x = m 2^e with m between the roots of 1/2 and 2, for finite x above 0. */
function partsOf(x: number): readonly [m: number, e: number] {
  if (x < 2.3e-308) {
    const [m, e] = partsOf(x * powerOfTwo(64));
    return [m, e - 64];
  }
  bits.setFloat64(0, x);
  const exponent = Math.floor(bits.getUint16(0) / 16) - 1023;
  const mantissa = scaled(x, -exponent);
  return mantissa > Math.SQRT2 ? [mantissa / 2, exponent + 1] : [mantissa, exponent];
}
