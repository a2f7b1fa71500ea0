/** @file What the section of one kind of node is called. */
import type { NodeKind } from "../nodes/kinds.js";
import { truthDonorOf } from "../plan/node-list.js";
import type { Plan } from "../plan/plan.js";

/** What is said of the measured effect where nodes do not take their values from the corrupted prompt. */
const DONOR_NOTES = { corrupted: "", mean: ", set to their means", zero: ", set to zero" } as const;

/** The title, with what nodes were set to. */
export function kindTitle(kind: NodeKind, { sweep }: Pick<Plan, "sweep">): string {
  return `Nodes of kind ${kind}${DONOR_NOTES[truthDonorOf(sweep)]}`;
}
