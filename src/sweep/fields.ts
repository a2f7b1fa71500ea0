/** @file Kinds of values that several fields of a sweep file share. */
import { z } from "zod";
import { SAE_SITES } from "../nodes/site.js";

/** A site where an SAE may sit. */
export const siteField = z.enum(SAE_SITES);

/** Names become names of files and columns. */
export const nameField = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, "a letter or digit, then letters, digits, - and _, at most 64 in all");

/** The text of a hook; what it names is checked against the model. */
export const hookField = z.string().min(1).max(200);
/** The index of a feature. */
export const featureField = z.int().min(0);

/** The name of a span. */
const spanName = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9_-]{0,63}$/,
    "expected a number, `all`, or the name of a span of the rows: a letter, then letters, digits, - and _",
  ) as unknown as z.ZodType<number>;

/** Negative positions count from the prompt's end. A name is that of a span, until the dataset's rows have told its number. */
export const positionField: z.ZodType<number> = z.union([z.int().min(-4096).max(4095), spanName]);

/** Layers by their number, or all of them. */
export const layersField = z.union([z.literal("all"), z.array(z.int().min(0)).min(1)]);

/**
 * A branch of a union that unknown fields rule out. Without this zod takes the first branch whose only faults are such fields to be the one
 * that was meant, and says nothing of the others.
 */
export function branch<Schema extends z.ZodType>(schema: Schema): Schema {
  return schema.check(({ issues }) => {
    for (const issue of issues) Object.assign(issue, { continue: false });
  });
}
