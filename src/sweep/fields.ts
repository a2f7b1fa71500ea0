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

/** Negative positions count from the prompt's end. */
export const positionField = z.int().min(-4096).max(4095);

/** Layers by their number, or all of them. */
export const layersField = z.union([z.literal("all"), z.array(z.int().min(0)).min(1)]);
