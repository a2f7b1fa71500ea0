/** @file What the circuits' part of a report is made of. */

import type { RunContents } from "../../../report/run-contents.js";
import type { CircuitRow } from "./circuit-row.js";

/** A run with its circuits. */
export interface CircuitContents extends RunContents {
  /** Null where there are none. */
  readonly circuits: readonly CircuitRow[] | null;
  /** Clusters of the prompts that circuits were evaluated on. */
  readonly clusters: number;
}
