/** @file When suites that need a program are left out. `npm test` says which, and why. */

/** Whether tests of a program are left out where the machine has none and none could be fetched. CI runs them: they fail, and say why. */
export function isLeftOut(program: string | null): boolean {
  return program === null && process.env["CI"] === undefined;
}
