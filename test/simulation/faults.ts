/** @file What goes wrong in a simulated cluster. */

/** Chances (per opportunity) and counts of what goes wrong. */
export interface Faults {
  readonly drop: number;
  readonly duplicate: number;
  readonly longDelay: number;
  readonly disconnect: number;
  readonly workerCrash: number;
  readonly engineDeath: number;
  readonly damagedRecord: number;
  /** Crashes of the coordinator in the whole simulation. */
  readonly coordinatorCrashes: number;
  /** Shards that fail on every worker. */
  readonly poisoned: ReadonlySet<string>;
  /** Attempts give other bytes each time. */
  readonly unstableResults: boolean;
}

export const NO_FAULTS: Faults = {
  drop: 0,
  duplicate: 0,
  longDelay: 0,
  disconnect: 0,
  workerCrash: 0,
  engineDeath: 0,
  damagedRecord: 0,
  coordinatorCrashes: 0,
  poisoned: new Set(),
  unstableResults: false,
};
