/** @file Fields of config files with their limits, for the schemas of all families. */
import { z } from "zod";

/** A width, a count, a number of tokens. */
export const size = z
  .int()
  .min(1)
  .max(2 ** 31);

/** No model has more layers; the limit bounds what is set up before a tensor is looked for. */
export const MAX_LAYERS = 1000;

/** A token id, as checkpoints write it. */
export const tokenId = z.int().min(0);

/** A number above 0. */
export const positive = z.number().positive();
