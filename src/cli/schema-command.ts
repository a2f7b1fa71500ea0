/** @file `patchbay schema`: the JSON Schema of a sweep file, so that editors complete and check it. */
import { z } from "zod";
import { sweepSchema } from "../plan/sweep.js";

/** JSON Schema (draft 2020-12) of what a user may write. */
export function sweepJsonSchema(): unknown {
  return { title: "Patchbay sweep", ...z.toJSONSchema(sweepSchema, { io: "input" }) };
}
