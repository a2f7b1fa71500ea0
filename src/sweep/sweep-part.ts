/** @file What an experiment adds to the schema of a sweep file. */
import type { z } from "zod";
import type { Sweep } from "./sweep.js";

/** An experiment's part of the sweep file. */
export interface SweepPart {
  /** The fields that are its own. They are strict: nobody else may read other names from the file. */
  readonly fields: z.ZodRawShape;
  /** Names the field that asks for it, and tells whether a sweep does; absent where it never runs by itself. */
  readonly asked?: { readonly field: string; isIn(sweep: Sweep): boolean };
  /** Whether it reads scores, so that a sweep that names none gets the usual ones. */
  needsScores?(sweep: Sweep): boolean;
  /** Whether it reads scores of neurons. */
  needsNeurons?(sweep: Sweep): boolean;
  /** Fills in defaults that depend on other fields. */
  complete?(sweep: Sweep, needs: SweepNeeds): Sweep;
}

/** What any experiment of a sweep reads of the scores. */
export interface SweepNeeds {
  readonly scores: boolean;
  readonly neurons: boolean;
}
