/** @file What the circuits' part of a report is made of. */

import type { RunContents } from "../../../report/run-contents.js";
import type { CircuitRow, ContrastRow } from "./circuit-row.js";

/** A run with its circuits. */
export interface CircuitContents extends RunContents {
  /** Null where there are none. */
  readonly circuits: readonly CircuitRow[] | null;
  /** Differences between points of grids; null where there are none. */
  readonly contrasts: readonly ContrastRow[] | null;
  /** Clusters of the prompts that circuits were evaluated on. */
  readonly clusters: number;
}
