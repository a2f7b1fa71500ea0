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

/** Rows of a row group, at most. */
export const ROW_GROUP_ROWS = 100_000;

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

/** What the end of a file says of one column of a row group. */
type PageIndexes = ParquetWriter["pendingIndexes"][number];

/** A row group by itself: its bytes, and what the end of a file says of its columns, as if the bytes began at 0. */
export interface RowGroupBytes {
  readonly bytes: Uint8Array;
  readonly rows: number;
  readonly columns: readonly PageIndexes[];
}

/** A column as it was encoded last. */
interface EncodedColumn {
  readonly values: Column["values"];
  readonly bytes: Uint8Array;
  readonly index: PageIndexes;
}

/**
 * Encodes row groups one by one. A column with the values that it had in the group before is not encoded again: most columns of nodes
 * and prompts repeat.
 */
export function rowGroupEncoder(): (columns: readonly Column[]) => RowGroupBytes {
  const last = new Map<string, EncodedColumn>();
  return (columns) => {
    const encoded = columns.map((column) => {
      const known = last.get(column.name);
      if (known !== undefined && isSame(known.values, column.values)) return known;
      const made = encodeColumn(column);
      last.set(column.name, made);
      return made;
    });
    const bytes = new Uint8Array(encoded.reduce((sum, column) => sum + column.bytes.length, 0));
    let place = 0;
    const indexes = encoded.map((column) => {
      bytes.set(column.bytes, place);
      place += column.bytes.length;
      return movedBy(column.index, place - column.bytes.length);
    });
    return { bytes, rows: columns[0]?.values.length ?? 0, columns: indexes };
  };
}

function isSame(a: Column["values"], b: Column["values"]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}

/** One column of one row group. */
function encodeColumn(column: Column): EncodedColumn {
  const target = new ByteWriter();
  const writer = new ParquetWriter({ writer: target, schema: schemaOf([column]) });
  const start = target.offset;
  const data = column.values as ColumnSource["data"];
  void writer.write({ columnData: [{ name: column.name, data }], rowGroupSize: Math.max(1, data.length) });
  const index = movedBy(must(writer.pendingIndexes[0], "column"), -start);
  return { values: column.values, bytes: target.getBytes().slice(start), index };
}

/** The same column with its bytes elsewhere. */
function movedBy({ chunk, offsetIndex, ...rest }: PageIndexes, offset: number): PageIndexes {
  const by = BigInt(offset);
  const { meta_data: found, file_offset: place } = chunk;
  const meta = must(found, "column metadata");
  const dictionary = meta.dictionary_page_offset === undefined ? undefined : meta.dictionary_page_offset + by;
  return {
    ...rest,
    chunk: {
      ...chunk,
      meta_data: { ...meta, data_page_offset: meta.data_page_offset + by, dictionary_page_offset: dictionary },
      file_offset: place + by,
    } as typeof chunk,
    ...(offsetIndex === undefined
      ? {}
      : {
          offsetIndex: {
            ...offsetIndex,
            page_locations: offsetIndex.page_locations.map((page) => ({ ...page, offset: page.offset + by })),
          },
        }),
  };
}

/** A table that is written row group by row group. */
export interface ParquetStream {
  append(group: RowGroupBytes): void;
  /** Writes the end of the file. */
  finish(): void;
}

/**
 * Begins a table. Its bytes are those of {@link encodeParquet} where that cuts the rows in the same groups.
 * @param columns - whose names and types are the table's; their values do not matter.
 * @param take - gets the bytes of the file in order.
 */
export function parquetStream(
  columns: readonly Column[],
  metadata: Metadata,
  take: (bytes: Uint8Array) => void,
): ParquetStream {
  const target = new ByteWriter();
  const writer = new ParquetWriter({
    writer: target,
    schema: schemaOf(columns),
    kvMetadata: keyValues(metadata),
    createdBy: "patchbay",
  });
  const flush = (): void => {
    take(target.getBytes());
    target.index = 0;
  };
  return {
    append: ({ bytes, rows, columns: own }) => {
      flush();
      const moved = own.map((column) => movedBy(column, target.offset));
      writer.row_groups.push({
        columns: moved.map(({ chunk }) => chunk),
        total_byte_size: moved.reduce((sum, { chunk }) => sum + (chunk.meta_data?.total_uncompressed_size ?? 0n), 0n),
        num_rows: BigInt(rows),
        total_compressed_size: BigInt(bytes.length),
      });
      writer.pendingIndexes.push(...moved);
      writer.num_rows += BigInt(rows);
      take(bytes);
      target.offset += bytes.length;
    },
    finish: () => {
      void writer.finish();
      flush();
    },
  };
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
