/** @file The families of models that can be read: one line each. */
import type { ModelFamily } from "./family.js";
import { GEMMA2 } from "./gemma2.js";
import { GEMMA3 } from "./gemma3.js";

/** Families by a short name. */
export type ModelFamilies = Readonly<Record<string, ModelFamily>>;

/** Every family of this version. */
export const MODEL_FAMILIES = {
  gemma2: GEMMA2,
  gemma3: GEMMA3,
} satisfies ModelFamilies;
