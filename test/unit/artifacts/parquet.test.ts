import { describe, expect, it } from "vitest";
import {
  type Column,
  decodeParquet,
  encodeParquet,
  type Metadata,
  parquetStream,
  rowGroupEncoder,
  rowGroupOf,
} from "../../../src/artifacts/parquet.js";

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

describe("parquetStream", () => {
  /** Encodes each chunk by itself, as another thread would, and joins what they give. */
  const streamed = (chunks: readonly Column[][], metadata: Metadata): Buffer => {
    const pieces: Uint8Array[] = [];
    const stream = parquetStream(chunks[0] ?? [], metadata, (bytes) => pieces.push(bytes.slice()));
    const encode = rowGroupEncoder();
    for (const columns of chunks) stream.append(structuredClone(encode(rowGroupOf(columns))));
    stream.finish();
    return Buffer.concat(pieces);
  };

  it("gives the bytes of a table that is encoded as a whole", () => {
    const chunks = [chunk(0, 40), chunk(40, 7), chunk(40, 7), chunk(47, 1)];
    const metadata = { sign: "positive is good" };
    expect(streamed(chunks, metadata).equals(encodeParquet(chunks, metadata))).toBe(true);
  });

  it("places the pages of columns that have several", async () => {
    const count = 90_000; // 1 MiB holds 131,072 doubles, and strings are longer.
    const texts = Array.from({ length: count }, (_, i) => `text ${String(i)}`);
    const chunks = [1, 2].map((): Column[] => [{ name: "text", type: "STRING", values: texts }]);
    const bytes = streamed(chunks, {});
    expect(bytes.equals(encodeParquet(chunks, {}))).toBe(true);
    expect((await decodeParquet(bytes)).rows[count + 7]).toEqual({ text: "text 7" });
  });

  it.each([
    ["all differ", (i: number) => i / 7],
    ["a quarter is 0", (i: number) => (i % 4 === 0 ? 0 : i / 7)],
    ["half is 0 or not a number", (i: number) => (i % 4 === 0 ? -0 : i % 4 === 1 ? Number.NaN : i / 7)],
    ["most are equal", (i: number) => i % 5],
  ])("encodes numbers as a table that is encoded as a whole does: %s", (_, value) => {
    const numbers = (count: number): Column[] => [
      { name: "x", type: "DOUBLE", values: Float64Array.from({ length: count }, (_, i) => value(i)) },
    ];
    const chunks = [numbers(3000), numbers(7), numbers(1)];
    expect(streamed(chunks, {}).equals(encodeParquet(chunks, {}))).toBe(true);
  });

  it("makes a column once for groups in which it has one key", () => {
    const made: string[] = [];
    const encode = rowGroupEncoder();
    const bytesOf = (key: string): Uint8Array => {
      const make = (): Column => {
        made.push(key);
        return { name: "x", type: "STRING", values: [key] };
      };
      return encode({ rows: 1, columns: [{ name: "x", key, make }] }).bytes;
    };
    const first = bytesOf("a");
    const [between, again] = [bytesOf("b"), bytesOf("a")];
    expect([first, made]).toEqual([again, ["a", "b"]]);
    expect(between).not.toEqual(first);
    for (let i = 0; i < 20; i++) bytesOf(String(i)); // Few are kept.
    bytesOf("a");
    expect(made.at(-1)).toBe("a");
  });
});
