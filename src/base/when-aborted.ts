/** @file Reacts to an abort signal, also to one that fired before anybody listened. */

/** Calls back once when the signal fires, at once where it has. Without a signal nothing happens. */
export function whenAborted(signal: AbortSignal | undefined, callback: () => void): void {
  if (signal?.aborted === true) callback();
  else signal?.addEventListener("abort", callback, { once: true });
}
