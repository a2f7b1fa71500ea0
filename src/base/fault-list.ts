/** @file Collects faults of what a user wrote, so that one round names them all. */
import { must } from "./assert.js";
import { allOf, PatchbayError } from "./errors.js";

/** Faults of one round. Any error that is no fault of the input ends the round at once. */
export class FaultList {
  readonly #faults: PatchbayError[] = [];

  /** What `read` gives; undefined where it finds a fault. */
  attempt<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (thrown) {
      this.#note(thrown);
      return undefined;
    }
  }

  /** The same for what takes its time. */
  async attemptAsync<T>(read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (thrown) {
      this.#note(thrown);
      return undefined;
    }
  }

  /** The value of an attempt without which nothing else can be judged. @throws PatchbayError all faults so far, where it failed. */
  needed<T>(value: T | undefined): T {
    if (value === undefined) this.throwIfAny();
    return must(value, "what was attempted");
  }

  /** The value of an attempt, at the end of a round. @throws PatchbayError all faults so far, of whatever attempt. */
  settled<T>(value: T | undefined): T {
    this.throwIfAny();
    return must(value, "what was attempted");
  }

  /** @throws PatchbayError all faults so far, if there are any. */
  throwIfAny(): void {
    const [first, ...rest] = this.#faults;
    if (first !== undefined) throw allOf([first, ...rest]);
  }

  #note(thrown: unknown): void {
    if (!(thrown instanceof PatchbayError) || !(thrown.code === "bad_input" || thrown.code === "not_built"))
      throw thrown;
    this.#faults.push(thrown);
  }
}
