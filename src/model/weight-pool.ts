/**
 * @file Weights that come to the device when they are needed, and leave when others need the room.
 *
 * All weights of a run share one budget. Where it holds everything, everything is loaded once and stays. Where it does not, a program
 * walks through the parts in an order that it says beforehand: a step's parts stay while it runs, the next step's are read meanwhile,
 * and what the walk does not need again goes first. Nothing that is computed depends on the budget.
 */
import { must } from "../base/assert.js";
import type { Disposable } from "./tensor-scope.js";

/** Weights that are loaded and released together. */
export interface Part<Held extends Disposable> {
  /** What it takes on the device. */
  readonly bytes: number;
  load(): Promise<Held>;
}

/** A part of a pool. */
export interface Pooled<Held> {
  /** The weights, which are on the device: because a step of a walk has them, or because the pool holds everything. */
  now(): Held;
}

/** What a pool has done so far. */
export interface PoolFacts {
  readonly loads: number;
  readonly loadedBytes: number;
  /** Time in which nothing was computed because parts were on their way. */
  readonly waitedSeconds: number;
  readonly peakBytes: number;
}

interface Slot {
  readonly part: Part<Disposable>;
  held: Disposable | null;
  loading: Promise<void> | null;
  /** Steps and loads that need it now. */
  pins: number;
  usedAt: number;
}

/** The parts that each step of a walk needs. */
type Order = readonly (readonly Slot[])[];

/** Parts under a common budget. Owner of what is loaded, through `dispose`. */
export class WeightPool {
  readonly #budgetBytes: number;
  readonly #slots = new Map<Pooled<unknown>, Slot>();
  #bytes = 0;
  #clock = 0;
  #facts = { loads: 0, loadedBytes: 0, waitedSeconds: 0, peakBytes: 0 };

  /** @param budgetBytes what all parts together may take; a step that needs more gets more. */
  constructor(budgetBytes = Infinity) {
    this.#budgetBytes = budgetBytes;
  }

  /** Adds a part. It is not loaded yet. */
  add<Held extends Disposable>(part: Part<Held>): Pooled<Held> {
    const slot: Slot = { part, held: null, loading: null, pins: 0, usedAt: 0 };
    const pooled: Pooled<Held> = { now: () => must(slot.held, "weights on the device") as Held };
    this.#slots.set(pooled, slot);
    return pooled;
  }

  /** Loads every part, if the budget holds all of them. */
  async fill(): Promise<void> {
    const slots = [...this.#slots.values()];
    if (slots.reduce((total, { part }) => total + part.bytes, 0) > this.#budgetBytes) return;
    for (const slot of slots) await this.#load(slot);
  }

  /** Runs `work` with these parts on the device. */
  async using<Result>(parts: readonly Pooled<unknown>[], work: () => Promise<Result> | Result): Promise<Result> {
    return await this.#during([this.#slotsOf(parts)], 0, work);
  }

  /** Calls `visit` for each step in order, with the step's parts on the device, and reads the next step's meanwhile. */
  async walk(
    steps: readonly (readonly Pooled<unknown>[])[],
    visit: (step: number) => Promise<void> | void,
  ): Promise<void> {
    const order = steps.map((parts) => this.#slotsOf(parts));
    for (let step = 0; step < order.length; step++) await this.#during(order, step, () => visit(step));
  }

  facts(): PoolFacts {
    return { ...this.#facts };
  }

  /** Releases everything. */
  dispose(): void {
    for (const slot of this.#slots.values()) this.#release(slot);
  }

  #slotsOf(parts: readonly Pooled<unknown>[]): Slot[] {
    return parts.map((part) => must(this.#slots.get(part), "part of this pool"));
  }

  async #during<Result>(order: Order, step: number, work: () => Promise<Result> | Result): Promise<Result> {
    const needed = must(order[step], "step");
    for (const slot of needed) slot.pins += 1;
    let ahead = Promise.resolve();
    try {
      await this.#waiting(this.#ready(needed, order, step));
      ahead = this.#expect(order, step + 1);
      return await work();
    } finally {
      await this.#waiting(ahead);
      for (const slot of needed) {
        slot.pins -= 1;
        slot.usedAt = ++this.#clock;
      }
    }
  }

  async #waiting(loads: Promise<void>): Promise<void> {
    const began = performance.now();
    await loads;
    this.#facts.waitedSeconds += (performance.now() - began) / 1000;
  }

  async #ready(needed: readonly Slot[], order: Order, step: number): Promise<void> {
    const loads = needed.map((slot) => {
      this.#makeRoom(slot, order, step);
      return this.#load(slot);
    });
    await Promise.allSettled(loads); // Nothing is on its way after a fault.
    await Promise.all(loads);
  }

  /** Reads a step's parts ahead, as far as there is room. A fault is reported by the step that needs the part. */
  async #expect(order: Order, step: number): Promise<void> {
    const loads: Promise<void>[] = [];
    for (const slot of order[step] ?? []) {
      if (slot.held !== null || slot.loading !== null) continue;
      this.#makeRoom(slot, order, step);
      if (this.#bytes + slot.part.bytes > this.#budgetBytes) break;
      loads.push(this.#load(slot)); // Begun before the step computes, which may leave no moment for it later.
    }
    await Promise.allSettled(loads);
  }

  /** Releases what is needed last, or not at all, until `slot` fits or nothing may go that is needed later than `slot`. */
  #makeRoom(slot: Slot, order: Order, step: number): void {
    if (slot.held !== null || slot.loading !== null) return;
    const nextUse = new Map<Slot, number>();
    for (let later = order.length - 1; later >= step; later--)
      for (const needed of must(order[later], "step")) nextUse.set(needed, later);
    const useOf = (one: Slot): number => nextUse.get(one) ?? Infinity;
    const victims = [...this.#slots.values()]
      .filter((one) => one.held !== null && one.pins === 0 && useOf(one) > step)
      // Of what this walk does not need again, the latest first: the next walk mostly begins where this one began.
      .sort((a, b) => compare(useOf(b), useOf(a)) || b.usedAt - a.usedAt);
    for (const victim of victims) {
      if (this.#bytes + slot.part.bytes <= this.#budgetBytes) return;
      this.#release(victim);
    }
  }

  async #load(slot: Slot): Promise<void> {
    if (slot.held !== null) return;
    slot.loading ??= this.#read(slot).finally(() => {
      slot.loading = null;
    });
    await slot.loading;
  }

  async #read(slot: Slot): Promise<void> {
    const { bytes } = slot.part;
    this.#bytes += bytes; // Before it is there: two loads must not take the same room.
    try {
      slot.held = await slot.part.load();
    } catch (error) {
      this.#bytes -= bytes;
      throw error;
    }
    this.#facts.loads += 1;
    this.#facts.loadedBytes += bytes;
    this.#facts.peakBytes = Math.max(this.#facts.peakBytes, this.#bytes);
  }

  #release(slot: Slot): void {
    if (slot.held === null) return;
    slot.held.dispose();
    slot.held = null;
    this.#bytes -= slot.part.bytes;
  }
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
