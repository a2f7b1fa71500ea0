import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { rowCount, rowsOfBatch, sharedRows, sideBatches, tokenRows } from "../../../src/nodes/token-rows.js";

describe("the distinct rows of sequences", () => {
  it("are one for each beginning, named by where it stands first", () => {
    const { rowOf, holders } = tokenRows([
      [1, 5, 6],
      [1, 5, 7],
      [1, 6, 6],
      [1, 5, 6],
    ]);
    expect([...rowOf]).toEqual([0, 1, 2, 0, 1, 3, 0, 4, 5, 0, 1, 2]);
    expect([...holders]).toEqual([0, 1, 2, 5, 7, 8]);
  });

  it("are equal exactly where all tokens up to the position are", () => {
    const rng = createRng(1, "trie");
    const ids = Array.from({ length: 30 }, () => Array.from({ length: 5 }, () => rng.int(3)));
    const { rowOf } = tokenRows(ids);
    const beginnings = ids.flatMap((own) => own.map((_, t) => own.slice(0, t + 1).join(" ")));
    const rowsOfBeginnings = new Map(beginnings.map((beginning, flat) => [beginning, rowOf[flat]]));
    expect(beginnings.map((beginning) => rowsOfBeginnings.get(beginning))).toEqual([...rowOf]);
    expect(new Set(rowOf).size).toBe(rowsOfBeginnings.size);
  });

  it("are not gathered where too few are equal", () => {
    expect(sharedRows([[1, 2, 3, 4], [5, 6, 7, 8]])).toBeNull(); // prettier-ignore
    expect(sharedRows([[1, 2, 3, 4], [1, 2, 7, 8]])).not.toBeNull(); // prettier-ignore
  });
});

describe("the sides of a block", () => {
  const clean = [[1, 2, 3], [1, 2, 4]]; // prettier-ignore

  it("are one batch where their rows are equal, each in its place", () => {
    const corrupted = [[1, 5, 3], [1, 2, 3]]; // prettier-ignore
    const { batches, places } = sideBatches([clean, corrupted]);
    expect(places).toEqual([{ batch: 0, first: 0 }, { batch: 0, first: 2 }]); // prettier-ignore
    expect(batches.map(rowCount)).toEqual([6]);
    expect(batches.map((batch) => [...rowsOfBatch(batch)])).toEqual([[0, 1, 2, 0, 1, 3, 0, 4, 5, 0, 1, 2]]);
  });

  it("are two batches of all rows where few are equal, or where nothing is to be shared", () => {
    const other = [[7, 8, 9], [6, 5, 4]]; // prettier-ignore
    for (const { batches } of [sideBatches([[[1, 2, 3], [2, 3, 4]], other]), sideBatches([clean, clean], false)]) // prettier-ignore
      expect(batches.map((batch) => [batch.rows, rowCount(batch)])).toEqual([[null, 6], [null, 6]]); // prettier-ignore
  });

  it("share rows within a side where their lengths differ", () => {
    const { batches } = sideBatches([clean, [[1, 2], [1, 2]]]); // prettier-ignore
    expect(batches.map(rowCount)).toEqual([4, 2]);
  });
});
