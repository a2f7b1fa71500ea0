/** @file Parquet tables: typed columns written in row groups, and read back whole. */
import { readFile } from "node:fs/promises";
import { type KeyValue, parquetMetadata, parquetReadObjects } from "hyparquet";
import { ByteWriter, type ColumnSource, ParquetWriter, schemaFromColumnData } from "hyparquet-writer";
import { must } from "../base/assert.js";
import { writeFileAtomically } from "../base/write-file.js";

/** Column types of our tables. */
export type ColumnType = "STRING" | "INT32" | "DOUBLE" | "BOOLEAN";

/** One column of a chunk of rows. Doubles use NaN for "undefined"; no column holds nulls. */
export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly values: readonly string[] | readonly boolean[] | Int32Array | Float64Array;
}

/** Key-value metadata of an artifact. */
export type Metadata = Readonly<Record<string, string>>;

const ROW_GROUP_ROWS = 100_000;

/**
 * Writes a table in one step (temporary name, sync, rename). Equal chunks give equal bytes.
 * @param chunks - at least one; all have the same columns. A chunk may have no rows.
 */
export function writeParquet(path: string, chunks: Iterable<readonly Column[]>, metadata: Metadata): void {
  const target = new ByteWriter();
  let writer: ParquetWriter | undefined;
  for (const chunk of chunks) {
    const columnData = chunk.map(toSource);
    writer ??= new ParquetWriter({
      writer: target,
      schema: schemaFromColumnData({ columnData }),
      kvMetadata: keyValues(metadata),
      createdBy: "patchbay",
    });
    if ((chunk[0]?.values.length ?? 0) > 0) void writer.write({ columnData, rowGroupSize: ROW_GROUP_ROWS });
  }
  void must(writer, "a first chunk").finish();
  writeFileAtomically(path, target.getBytes());
}

/** Reads all rows of a table as objects. 64-bit integers do not occur in our tables. */
export async function readParquet(path: string): Promise<{ rows: Record<string, unknown>[]; metadata: Metadata }> {
  const bytes = await readFile(path);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const metadata = parquetMetadata(file);
  const rows = await parquetReadObjects({ file, metadata });
  const pairs = (metadata.key_value_metadata ?? []).map(({ key, value }) => [key, value ?? ""] as const);
  return { rows, metadata: Object.fromEntries(pairs) };
}

function toSource({ name, type, values }: Column): ColumnSource {
  return { name, type, data: values as ColumnSource["data"], nullable: false };
}

function keyValues(metadata: Metadata): KeyValue[] {
  return Object.entries(metadata)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({ key, value }));
}
