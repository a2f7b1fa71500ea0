/** Where a usable kubectl lies: on PATH or in the project's cache; null when in neither. */
export function findKubectl(): string | null;
/** Finds a kubectl or fetches one into the cache; `problem` is one line that says what was tried. */
export function obtainKubectl():
  { readonly path: string; readonly problem?: never } | { readonly path?: never; readonly problem: string };
