import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Column, readParquet, writeParquet } from "../../../src/reduce/parquet.js";

const path = (name: string): string => join(mkdtempSync(join(tmpdir(), "patchbay-parquet-")), name);

const chunk = (from: number, count: number): Column[] => {
  const rows = Array.from({ length: count }, (_, i) => from + i);
  return [
    { name: "hook", type: "STRING", values: rows.map((i) => `hook ${String(i % 3)}`) },
    { name: "layer", type: "INT32", values: Int32Array.from(rows) },
    { name: "effect", type: "DOUBLE", values: Float64Array.from(rows, (i) => (i === 2 ? Number.NaN : i / 3)) },
    { name: "global", type: "BOOLEAN", values: rows.map((i) => i % 2 === 0) },
  ];
};

describe("writeParquet", () => {
  it("gives every value and the metadata back, chunk by chunk", async () => {
    const file = path("a.parquet");
    writeParquet(file, [chunk(0, 4), chunk(4, 3)], { sign: "positive is good" });
    const { rows, metadata } = await readParquet(file);
    expect(metadata).toMatchObject({ sign: "positive is good" });
    expect(rows).toHaveLength(7);
    expect(rows[5]).toEqual({ hook: "hook 2", layer: 5, effect: 5 / 3, global: false });
    expect(rows[2]?.["effect"]).toBeNaN();
  });

  it("keeps the columns of a table without rows", async () => {
    const file = path("empty.parquet");
    writeParquet(file, [chunk(0, 0)], {});
    expect((await readParquet(file)).rows).toEqual([]);
  });

  it("writes the same bytes for the same table", () => {
    const [a, b] = [path("a.parquet"), path("b.parquet")];
    for (const file of [a, b]) writeParquet(file, [chunk(0, 500)], { b: "2", a: "1" });
    expect(readFileSync(a).equals(readFileSync(b))).toBe(true);
  });
});
