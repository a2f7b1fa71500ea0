/**
 * @file The grid of a configuration: axes and their values, and a configuration for each point of them.
 *
 * 1. Each axis comes to a list of values with their labels. A value that comes twice counts once.
 * 2. A point takes one value of each axis; the last axis goes fastest.
 * 3. `$axis` becomes the value wherever it stands, `$axis` within a text its label. A value may name other axes.
 */
import { z } from "zod";
import { must } from "../../base/assert.js";
import { badInput } from "../../base/errors.js";
import { powerOf } from "../../base/elementary-functions.js";
import { canonicalJson } from "../../base/hash.js";
import { setWithAxes } from "../../plan/set-expression.js";
import { nameField } from "../../sweep/fields.js";

/** Most points of one grid. */
const MOST_POINTS = 20_000;
/** Most values of one axis. */
const MOST_VALUES = 4096;

const RANGE = /^(\d{1,4})\.\.(\d{1,4})$/;
const range = z.string().regex(RANGE, "a range is such as 16..22");
/** Its power of ten is a finite number above zero. */
const exponent = z.number().min(-300).max(300);
const spans = z.strictObject({ spans: range, fixed: z.enum(["left", "right"]) });
const windows = z.strictObject({ windows: range, width: z.int().min(1), step: z.int().min(1).default(1) });
/** Powers of ten from one exponent to another. */
export const log10 = z.strictObject({ log10: z.tuple([exponent, exponent]), count: z.int().min(1).max(1000) });
const value = z.union([z.number(), nameField]);

/** An axis as it is written. */
export const axisField = z.union([
  log10,
  spans,
  windows,
  range,
  z
    .array(z.union([value, range, spans, windows]))
    .min(1)
    .max(MOST_VALUES),
  // A list keeps the order, which a plan's objects do not.
  z.record(nameField, z.union([z.number(), setWithAxes])).transform((named) => ({ named: Object.entries(named) })),
]);

/** An axis as it is written. */
export type Axis = z.infer<typeof axisField>;

/** The axes of a grid in order. */
export type Grid = readonly (readonly [name: string, axis: Axis])[];

/** What a column says of a value. */
export type AxisLabel = number | string;

/** A value of an axis. */
interface AxisValue {
  readonly label: AxisLabel;
  readonly value: unknown;
}

/** One point of a grid. */
export interface GridPoint {
  readonly axes: ReadonlyMap<string, AxisLabel>;
  /** The configuration with every axis filled in. */
  readonly configuration: unknown;
}

/** Whether a name can be an axis: `$name` must be seen to end. */
export const AXIS_NAME = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;

/** The values of an axis in order. @throws PatchbayError `bad_input` for a window that is wider than its range, or a range that falls. */
export function axisValues(axis: Axis): AxisValue[] {
  const values = Array.isArray(axis) ? axis.flatMap(valuesOf) : valuesOf(axis);
  const labels = new Set<string>();
  return values.filter(({ label }) => labels.size !== labels.add(String(label)).size);
}

function valuesOf(part: Exclude<Axis, readonly unknown[]> | z.infer<typeof value>): AxisValue[] {
  if (typeof part === "number") return [{ label: part, value: part }];
  if (typeof part === "string") {
    if (!RANGE.test(part)) return [{ label: part, value: part }];
    return integers(part).map((one) => ({ label: one, value: one }));
  }
  if (isOf(log10, part)) {
    return powersOfTen(part).map((one) => ({ label: one, value: one }));
  }
  if (isOf(spans, part)) {
    const ends = integers(part.spans);
    const [first, last] = [must(ends[0], "first"), must(ends.at(-1), "last")];
    return ends.map((end) => (part.fixed === "left" ? spanOf(first, end) : spanOf(end, last)));
  }
  if (isOf(windows, part)) {
    const starts = integers(part.windows);
    const { width, step } = part;
    if (width > starts.length)
      throw badInput(`a window of ${String(width)} is wider than ${part.windows}; give a smaller \`width\``);
    return starts
      .slice(0, starts.length - width + 1)
      .filter((_, i) => i % step === 0)
      .map((start) => spanOf(start, start + width - 1));
  }
  return part.named.map(([label, own]) => ({ label, value: own }));
}

/** `10 ** log10`, spaced evenly. */
export function powersOfTen({ log10: [first, last], count }: z.infer<typeof log10>): number[] {
  const step = (i: number): number => (count === 1 ? first : first + ((last - first) * i) / (count - 1));
  return Array.from({ length: count }, (_, i) => powerOf(10, step(i)));
}

function isOf<Schema extends z.ZodType>(schema: Schema, part: unknown): part is z.infer<Schema> {
  return schema.safeParse(part).success;
}

function integers(text: string): number[] {
  const [, first = "", last = ""] = RANGE.exec(text) ?? [];
  const count = Number(last) - Number(first) + 1;
  if (count < 1) throw badInput(`the range ${text} falls; write the lower number first`);
  if (count > MOST_VALUES)
    throw badInput(`the range ${text} has ${String(count)} values; at most ${String(MOST_VALUES)} are taken`);
  return Array.from({ length: count }, (_, i) => Number(first) + i);
}

/** A span is a range where it is used, and `a-b` in a column. */
function spanOf(first: number, last: number): AxisValue {
  return { label: `${String(first)}-${String(last)}`, value: `${String(first)}..${String(last)}` };
}

/**
 * The points of a grid.
 * @throws PatchbayError `bad_input` for an axis that has no value or that nothing uses, a `$name` that is no axis, a list within a text, and too many points.
 */
export function gridPoints(grid: Grid, configuration: unknown): GridPoint[] {
  const axes = grid.map(([name, axis]) => ({ name, values: axisValues(axis) }));
  const empty = axes.find(({ values }) => values.length === 0);
  if (empty !== undefined) throw badInput(`the axis ${empty.name} has no value; name at least one`);
  const count = axes.reduce((product, { values }) => product * values.length, 1);
  if (count > MOST_POINTS)
    throw badInput(`the grid has ${String(count)} points; at most ${String(MOST_POINTS)} are taken`);
  const used = new Set<string>();
  const points = Array.from({ length: count }, (_, index): GridPoint => {
    const chosen = new Map<string, AxisValue>();
    let rest = index;
    for (const { name, values } of axes.toReversed()) {
      chosen.set(name, must(values[rest % values.length], name));
      rest = Math.floor(rest / values.length);
    }
    return {
      axes: new Map(axes.map(({ name }) => [name, must(chosen.get(name), name).label])),
      configuration: filledIn(configuration, chosen, used),
    };
  });
  const unused = axes.find(({ name }) => !used.has(name));
  if (unused !== undefined)
    throw badInput(
      `the axis ${unused.name} is used nowhere; write $${unused.name} where its values belong, or take it out`,
    );
  return points;
}

const REFERENCES = /\$([A-Za-z]\w*)/g;

/** A copy in which axes are filled in; `used` collects their names. */
function filledIn(part: unknown, axes: ReadonlyMap<string, AxisValue>, used: Set<string>): unknown {
  if (typeof part === "string") return filledInText(part, axes, used);
  if (Array.isArray(part)) return part.map((one) => filledIn(one, axes, used));
  if (part === null || typeof part !== "object") return part;
  return Object.fromEntries(Object.entries(part).map(([key, own]) => [key, filledIn(own, axes, used)]));
}

function filledInText(text: string, axes: ReadonlyMap<string, AxisValue>, used: Set<string>): unknown {
  const valueOf = (name: string): AxisValue => {
    const found = axes.get(name);
    if (found === undefined) {
      const known = axes.size === 0 ? "there are none here" : `there are: ${[...axes.keys()].join(", ")}`;
      throw badInput(`$${name} is no axis of the grid (${known})`);
    }
    used.add(name);
    return found;
  };
  const [whole] = text.matchAll(REFERENCES);
  if (whole !== undefined && whole[0] === text) {
    const name = must(whole[1], "name");
    const { value } = valueOf(name);
    // A value may name other axes, and none itself.
    return filledIn(value, new Map([...axes].filter(([other]) => other !== name)), used);
  }
  return text.replace(REFERENCES, (_, name: string) => {
    const { value } = valueOf(name);
    if (typeof value === "number" || typeof value === "string") return String(value);
    throw badInput(
      `$${name} stands within the text ${text}, and its value is ${canonicalJson(value)}: only numbers and names can`,
    );
  });
}
