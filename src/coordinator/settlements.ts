/** @file Tells workers in bundles which outcomes have been noted: nobody waits for that, and a message costs more than its content. */
import type { Sessions } from "./sessions.js";

const PAUSE_MS = 100;
const BUNDLE = 64;

/** Settled leases that have not been sent yet. */
export class Settlements {
  readonly #sessions: Sessions;
  readonly #waiting = new Map<string, string[]>();
  #timer: NodeJS.Timeout | null = null;

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  /** A lease of this session is settled. */
  add(session: string, lease: string): void {
    const leases = this.#waiting.get(session) ?? [];
    leases.push(lease);
    this.#waiting.set(session, leases);
    if (leases.length >= BUNDLE) this.#send(session);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      for (const each of this.#waiting.keys()) this.#send(each);
    }, PAUSE_MS);
  }

  #send(session: string): void {
    const leases = this.#waiting.get(session) ?? [];
    this.#waiting.delete(session);
    this.#sessions.send(session, { kind: "settled", leases });
  }
}
