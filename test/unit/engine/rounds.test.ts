import { expect, it } from "vitest";
import { inRounds } from "../../../src/engine/rounds.js";

/** Two programs that note their turns; each takes a second of a clock of its own. */
function programs(): {
  readonly turns: string[];
  readonly runs: (() => Promise<number>)[];
  readonly now: () => number;
} {
  const turns: string[] = [];
  const run = (name: string) => async (): Promise<number> => Promise.resolve(turns.push(name));
  return { turns, runs: [run("a"), run("b")], now: () => 1000 * turns.length };
}

it("lets programs take turns while there is time, and does not count the first round", async () => {
  const { turns, runs, now } = programs();
  expect(await inRounds(runs, 5000, now)).toEqual([
    [3, 5],
    [4, 6],
  ]);
  expect(turns).toEqual(["a", "b", "a", "b", "a", "b"]);
});

it("counts the first round where there is no time for another", async () => {
  const { turns, runs, now } = programs();
  expect(await inRounds(runs, 2000, now)).toEqual([[1], [2]]);
  expect(turns).toEqual(["a", "b"]);
});

it("ends after five rounds that count, however much time is left", async () => {
  const { turns, runs, now } = programs();
  expect(await inRounds(runs, Infinity, now)).toEqual([
    [3, 5, 7, 9, 11],
    [4, 6, 8, 10, 12],
  ]);
  expect(turns).toHaveLength(12);
});
