/** @file Which shards of a stage have records in the log already, a byte for each, and what the records add up to. */
import type { RecordFacts } from "./events.js";

/** Work that records tell of. */
export interface Totals {
  readonly engineSeconds: number;
  readonly units: Readonly<Record<string, number>>;
}

const NOTHING: Totals = { engineSeconds: 0, units: {} };

/** The recorded shards of a stage. They are added one by one, in the order of the shards: sums of floats depend on it. */
export class RecordedShards {
  /** What all records tell of. */
  all: Totals = NOTHING;
  /** What those of earlier runs do. */
  reused: Totals = NOTHING;
  readonly #has: Uint8Array;

  /** @param length - how many shards the stage has. */
  constructor(length: number) {
    this.#has = new Uint8Array(length);
  }

  /** Whether the shard has a record. */
  has(index: number): boolean {
    return this.#has[index] === 1;
  }

  /** The record of this shard is in the log. */
  add(index: number, record: Omit<RecordFacts, "shard" | "sha256">): void {
    this.#has[index] = 1;
    this.all = sum(this.all, record);
    if (record.reused) this.reused = sum(this.reused, record);
  }
}

function sum({ engineSeconds, units }: Totals, record: Pick<RecordFacts, "seconds" | "units">): Totals {
  return { engineSeconds: engineSeconds + record.seconds, units: addUnits(units, record.units) };
}

/** Amounts of work of either, by unit. */
export function addUnits(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Record<string, number> {
  const sums: Record<string, number> = { ...a };
  for (const [unit, amount] of Object.entries(b)) sums[unit] = (sums[unit] ?? 0) + amount;
  return sums;
}
