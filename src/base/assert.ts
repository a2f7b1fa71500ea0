/** @file Assertions: they mark bugs of ours, never faults of the input. */

/** Passes where `condition` holds. @throws Error with `message` where it does not. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`bug: ${message}`);
}

/** Returns `value`, or throws when it is null or undefined. For indexes and keys that are known to exist. */
export function must<T>(value: T | null | undefined, what: string): T {
  assert(value !== undefined && value !== null, `${what} is missing`);
  return value;
}

/** Ends a `switch` or an if-chain over a union: where a case was forgotten, the call does not compile. */
export function unreachable(value: never): never {
  throw new Error(`bug: ${JSON.stringify(value)} is none of the cases`);
}
