/** @file `dataset.where`: which rows are kept, by what an earlier run measured of each. */
import { z } from "zod";
import { SIDES } from "../nodes/prompt.js";
import { nameField } from "./fields.js";

/** Bounds of one measure, and which circuit's it is. */
const condition = z
  .object({
    above: z.number().optional(),
    below: z.number().optional(),
    experiment: nameField.optional(),
    circuit: z.string().min(1).max(1000).optional(),
  })
  .catchall(z.union([z.number(), z.string().max(1000)]))
  .refine(({ above, below }) => above !== undefined || below !== undefined, {
    message: "says no bound: give `above`, `below` or both",
  });

/** The filter of a dataset's rows. */
export const rowFilterField = z
  .object({ from: z.string().min(1), side: z.enum([...SIDES, "both"]).default("both") })
  .catchall(condition)
  .refine(({ from: _from, side: _side, ...conditions }) => Object.keys(conditions).length > 0, {
    message: "names no measure: give one such as `metric_full: { above: 4 }`",
  });

/** The filter as a sweep has it. Every field beside `from` and `side` is a measure of the run with its condition. */
export type RowFilter = z.infer<typeof rowFilterField>;

/** The bounds of a measure. Fields beside the known ones are axes, by which a point of a grid is named. */
export type RowCondition = z.infer<typeof condition>;

/** The measures that a filter names, with their conditions. */
export function conditionsOf({ from: _from, side: _side, ...conditions }: RowFilter): [string, RowCondition][] {
  return Object.entries(conditions);
}
