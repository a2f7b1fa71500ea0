/**
 * @file What a sweep says of the dataset on whose runs each SAE's error is split into a linear function of its site's activation and the
 * rest. It is the evaluated dataset only where the sweep names that.
 */
import { z } from "zod";

/** Fields as in `dataset`, and the penalty of the regression in units of the activation's mean variance. */
export const fitField = z.strictObject({
  path: z.string().min(1),
  limit: z.int().min(1).optional(),
  chat: z.boolean().optional(),
  ridge: z.number().positive().default(1e-3),
});

/** What a sweep says of the fit; in a plan without its path. */
export type FitSpec = Omit<z.infer<typeof fitField>, "path">;

/** The fit that a sweep asks for, or what a plan has of it. */
export function fitOf({ fit }: { readonly [field: string]: unknown }): FitSpec | undefined {
  return fit as FitSpec | undefined;
}

/** Where the fit's dataset is, relative to the sweep's folder. */
export function fitPathOf({ fit }: { readonly [field: string]: unknown }): string | undefined {
  return (fit as z.infer<typeof fitField> | undefined)?.path;
}

/** What is missing where a sweep names parts of errors and splits none. */
export const NO_FIT =
  "is a part of an SAE's error, which only a `fit` splits; set `fit: { path: ... }`, a dataset of pairs";
