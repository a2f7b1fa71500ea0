/** The browser that PATCHBAY_CHROMIUM names, else a usable one on PATH or in the project's cache; null where there is none. */
export function findChromium(): string | null;
/** Finds a browser or fetches one into the cache; `problem` is one line that says what was tried. */
export function obtainChromium():
  { readonly path: string; readonly problem?: never } | { readonly path?: never; readonly problem: string };
