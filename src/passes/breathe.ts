/** @file Lets pending events in between two pieces of tensor work. */

/** Resolves after the event loop has turned once, so that a closed pipe or a cancellation is noticed. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Told how far a program is, in steps of its own choice. */
export type OnProgress = (done: number, total: number) => void;
