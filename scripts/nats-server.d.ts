/** Where a usable nats-server lies: on PATH or in the project's cache; null when in neither. */
export function findNatsServer(): string | null;
/** Finds a nats-server or fetches one into the cache; `problem` is one line that says what was tried. */
export function obtainNatsServer():
  { readonly path: string; readonly problem?: never } | { readonly path?: never; readonly problem: string };
