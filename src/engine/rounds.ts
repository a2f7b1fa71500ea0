/** @file Programs that are timed in turns. */
import { must } from "../base/assert.js";

/** Rounds that count, at most. */
const ROUNDS = 5;

/**
 * Runs all programs once, and again while there is time. They take turns, so that other work on the machine slows all of them alike.
 * @returns what each gave in the rounds that count: all but the first, which touches memory that nobody has; that one where time is up.
 */
export async function inRounds<Result>(
  programs: readonly (() => Promise<Result>)[],
  budgetMs: number,
  now = (): number => performance.now(),
): Promise<Result[][]> {
  const results = programs.map((): Result[] => []);
  const end = now() + budgetMs;
  for (let round = 0; round === 0 || (round <= ROUNDS && now() < end); round++)
    for (const [i, run] of programs.entries()) must(results[i], "program").push(await run());
  return results.map((all) => (all.length > 1 ? all.slice(1) : all));
}
