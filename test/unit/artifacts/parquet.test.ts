import { describe, expect, it } from "vitest";
import { type Column, decodeParquet, encodeParquet } from "../../../src/artifacts/parquet.js";

const chunk = (from: number, count: number): Column[] => {
  const rows = Array.from({ length: count }, (_, i) => from + i);
  return [
    { name: "hook", type: "STRING", values: rows.map((i) => `hook ${String(i % 3)}`) },
    { name: "layer", type: "INT32", values: Int32Array.from(rows) },
    { name: "effect", type: "DOUBLE", values: Float64Array.from(rows, (i) => (i === 2 ? Number.NaN : i / 3)) },
    { name: "global", type: "BOOLEAN", values: rows.map((i) => i % 2 === 0) },
  ];
};

describe("encodeParquet", () => {
  it("gives every value and the metadata back, chunk by chunk", async () => {
    const bytes = encodeParquet([chunk(0, 4), chunk(4, 3)], { sign: "positive is good" });
    const { rows, metadata } = await decodeParquet(bytes);
    expect(metadata).toMatchObject({ sign: "positive is good" });
    expect(rows).toHaveLength(7);
    expect(rows[5]).toEqual({ hook: "hook 2", layer: 5, effect: 5 / 3, global: false });
    expect(rows[2]?.["effect"]).toBeNaN();
  });

  it("gives lists and nulls back, also where all values are null", async () => {
    const columns: Column[] = [
      { name: "cluster", type: "STRING", nullable: true, values: ["cat", null, ""] },
      { name: "none", type: "STRING", nullable: true, values: [null, null, null] },
      { name: "ids", type: "INT32", list: true, values: [[1, 2], [], [3]] },
      { name: "tokens", type: "STRING", list: true, nullable: true, values: [[" a", "b"], null, ["é"]] },
    ];
    expect((await decodeParquet(encodeParquet([columns], {}))).rows).toEqual([
      { cluster: "cat", none: null, ids: [1, 2], tokens: [" a", "b"] },
      { cluster: null, none: null, ids: [], tokens: undefined }, // How the library reads a null list.
      { cluster: "", none: null, ids: [3], tokens: ["é"] },
    ]);
  });

  it("keeps the columns of a table without rows", async () => {
    expect((await decodeParquet(encodeParquet([chunk(0, 0)], {}))).rows).toEqual([]);
  });

  it("writes the same bytes for the same table", () => {
    const [a, b] = [1, 2].map(() => encodeParquet([chunk(0, 500)], { b: "2", a: "1" }));
    expect(a).toEqual(b);
  });
});
