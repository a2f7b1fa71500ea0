/** The major versions of Node that are supported. */
export const MAJORS: readonly string[];
/** The Node of a major version on PATH or in the project's cache; null where there is none. */
export function findNode(major: string): string | null;
/** Finds a Node or fetches it into the cache; `problem` is one line that says what was tried. */
export function obtainNode(
  major: string,
): { readonly path: string; readonly problem?: never } | { readonly path?: never; readonly problem: string };
