/**
 * @file Scales of an axis that holds a few large values and many small ones: linear, or symlog. Symlog is linear around zero and
 * logarithmic beyond its constant, so that one large node does not press all others onto the origin.
 */

/** A scale with its ends and ticks. A value's place is that of {@link transformOf} between those of `low` and `high`. */
export interface AxisScale {
  readonly kind: "linear" | "symlog";
  /** Where symlog turns from linear to logarithmic; 1 where the scale is linear. */
  readonly constant: number;
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
}

/** Largest value in constants: at most three powers of ten are drawn on each side of zero. */
const MOST_DECADES = 1000;
/** Largest over middle value above which a linear axis shows a crowd at zero and little else. */
const CROWDED = 30;
/** Room that a label needs, as a share of the axis. */
const TICK_ROOM = 0.13;
/** Room between the outermost values and the frame, as a share of the axis. */
const MARGIN = 0.06;

/** The value that is placed evenly along the axis. Symlog: sign(v) log(1 + |v| / constant). */
export function transformOf({ kind, constant }: Pick<AxisScale, "kind" | "constant">, value: number): number {
  return kind === "linear" ? value : Math.sign(value) * Math.log1p(Math.abs(value) / constant);
}

/** Whether values are better seen on a symlog axis. */
export function isCrowded(values: readonly number[]): boolean {
  const sizes = sortedSizes(values);
  return (sizes.at(-1) ?? 0) > CROWDED * middleOf(sizes);
}

/** A linear scale that holds zero and all values. */
export function linearScale(values: readonly number[]): AxisScale {
  const [least, most] = extent(values);
  const margin = MARGIN * (most - least || 1);
  const [low, high] = [least - margin, most + margin];
  return { kind: "linear", constant: 1, low, high, ticks: roundTicks(low, high, 4) };
}

/** A symlog scale that holds zero and all values, whose constant is a power of ten near the middle one of their sizes. */
export function symlogScale(values: readonly number[]): AxisScale {
  const sizes = sortedSizes(values);
  const largest = sizes.at(-1) ?? 1;
  const constant = 10 ** Math.ceil(Math.log10(Math.max(middleOf(sizes) / 3, largest / MOST_DECADES)));
  const [least, most] = extent(values);
  const place = (value: number): number => transformOf({ kind: "symlog", constant }, value);
  const margin = MARGIN * (place(most) - place(least) || 1);
  const back = (at: number): number => Math.sign(at) * Math.expm1(Math.abs(at)) * constant;
  const [low, high] = [back(place(least) - margin), back(place(most) + margin)];
  return { kind: "symlog", constant, low, high, ticks: powerTicks(constant, low, high) };
}

/** Zero and powers of ten, the largest first, each where its label has room. */
function powerTicks(constant: number, low: number, high: number): number[] {
  const place = (value: number): number => transformOf({ kind: "symlog", constant }, value);
  const room = TICK_ROOM * (place(high) - place(low));
  const kept = [0];
  for (const end of [high, low]) {
    const powers = Math.floor(Math.log10(Math.abs(end) / constant) + 1e-9);
    for (let power = powers; power >= 0; power--) {
      // A power of ten that is read from text is the nearest number to it.
      const tick = Math.sign(end) * Number(`1e${String(Math.round(Math.log10(constant)) + power)}`);
      if (kept.every((other) => Math.abs(place(other) - place(tick)) >= room)) kept.push(tick);
    }
  }
  return kept.sort((a, b) => a - b);
}

/** About `count` multiples of 1, 2 or 5 times a power of ten between two values. */
function roundTicks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
}

function extent(values: readonly number[]): [number, number] {
  return [values.reduce((a, b) => Math.min(a, b), 0), values.reduce((a, b) => Math.max(a, b), 0)];
}

/** Sizes of the values that are not zero, ascending. */
function sortedSizes(values: readonly number[]): Float64Array {
  return Float64Array.from(values.filter((value) => value !== 0 && Number.isFinite(value)).map(Math.abs)).sort();
}

function middleOf(sizes: Float64Array): number {
  return sizes[sizes.length >> 1] ?? 1;
}
