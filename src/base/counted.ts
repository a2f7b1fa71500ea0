/** @file Numbers of things in a sentence. */

/** `1 prompt`, `12 prompts`. */
export function counted(count: number, what: string): string {
  return `${String(count)} ${what}${count === 1 ? "" : "s"}`;
}
