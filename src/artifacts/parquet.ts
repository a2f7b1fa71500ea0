/** @file Parquet tables: typed columns encoded in row groups, and decoded as a whole. */
import { readFile } from "node:fs/promises";
import { type KeyValue, type SchemaElement, parquetMetadata, parquetReadObjects } from "hyparquet";
import { ByteWriter, type ColumnSource, ParquetWriter, schemaFromColumnData } from "hyparquet-writer";
import { must } from "../base/assert.js";

/** Column types of our tables. */
export type ColumnType = "STRING" | "INT32" | "DOUBLE" | "BOOLEAN";

/** One column of a chunk of rows. Doubles use NaN for "undefined". */
export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** Whether a value may be null; no column's may where nothing is said. */
  readonly nullable?: boolean;
  /** Whether a value is a list of values of the type. */
  readonly list?: boolean;
  readonly values:
    | readonly (string | null)[]
    | readonly boolean[]
    | Int32Array
    | Float64Array
    | readonly (readonly (string | number)[] | null)[];
}

/** Key-value metadata of an artifact. */
export type Metadata = Readonly<Record<string, string>>;

const ROW_GROUP_ROWS = 100_000;

/**
 * Encodes a table as one file. Equal chunks give equal bytes.
 * @param chunks - at least one; all have the same columns. A chunk may have no rows.
 */
export function encodeParquet(chunks: Iterable<readonly Column[]>, metadata: Metadata): Uint8Array {
  const target = new ByteWriter();
  let writer: ParquetWriter | undefined;
  for (const chunk of chunks) {
    const columnData = chunk.map(({ name, values }): ColumnSource => ({ name, data: values as ColumnSource["data"] }));
    writer ??= new ParquetWriter({
      writer: target,
      schema: schemaOf(chunk),
      kvMetadata: keyValues(metadata),
      createdBy: "patchbay",
    });
    if ((chunk[0]?.values.length ?? 0) > 0) void writer.write({ columnData, rowGroupSize: ROW_GROUP_ROWS });
  }
  void must(writer, "a first chunk").finish();
  return target.getBytes();
}

/**
 * All rows of a table as objects. 64-bit integers do not occur in our tables.
 * @param columns - those that are wanted, all where nothing is said. One that the table does not have is absent from the rows.
 */
export async function decodeParquet(
  bytes: Uint8Array,
  columns?: readonly string[],
): Promise<{ rows: Record<string, unknown>[]; metadata: Metadata }> {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  const metadata = parquetMetadata(file);
  const known = new Set(metadata.schema.map(({ name }) => name));
  const wanted = columns?.filter((name) => known.has(name));
  const rows = await parquetReadObjects({ file, metadata, ...(wanted === undefined ? {} : { columns: wanted }) });
  const pairs = (metadata.key_value_metadata ?? []).map(({ key, value }) => [key, value ?? ""] as const);
  return { rows, metadata: Object.fromEntries(pairs) };
}

/** All rows of a table that is no artifact of a run at work: nothing is known of what the file should hold. */
export async function readParquet(path: string): ReturnType<typeof decodeParquet> {
  return decodeParquet(await readFile(path));
}

function schemaOf(columns: readonly Column[]): SchemaElement[] {
  return [{ name: "root", num_children: columns.length }, ...columns.flatMap(schemaElements)];
}

/** A list has the three levels that other readers expect; the library infers the elements of plain columns alone. */
function schemaElements({ name, type, list = false, nullable = false }: Column): SchemaElement[] {
  const column = (of: string, optional: boolean): SchemaElement[] =>
    schemaFromColumnData({ columnData: [{ name: of, type, data: [], nullable: optional }] }).slice(1);
  if (!list) return column(name, nullable);
  return [
    { name, repetition_type: nullable ? "OPTIONAL" : "REQUIRED", converted_type: "LIST", num_children: 1 },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    ...column("element", false),
  ];
}

function keyValues(metadata: Metadata): KeyValue[] {
  return Object.entries(metadata)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ({ key, value }));
}

/** A row as Parquet gives it. */
export type ParquetRow = Readonly<Record<string, unknown>>;
