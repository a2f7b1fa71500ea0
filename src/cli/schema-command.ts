/** @file `patchbay schema`: the JSON Schema of a sweep file, so that editors complete and check it. */
import { z } from "zod";
import { sweepSchema } from "../sweep/sweep-schema.js";
import type { SweepPart } from "../sweep/sweep-part.js";

/** JSON Schema (draft 2020-12) of what a user may write. */
export function sweepJsonSchema(parts: readonly SweepPart[]): unknown {
  return { title: "Patchbay sweep", ...z.toJSONSchema(sweepSchema(parts), { io: "input" }) };
}
