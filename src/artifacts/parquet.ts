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

/** A column of a row group, which is made only where it has to be encoded. */
export interface LazyColumn {
  readonly name: string;
  /** Columns of one name and key have the same values; null where nothing is known of the values. */
  readonly key: string | null;
  readonly make: () => Column;
}

/** Rows that are encoded together. */
export interface RowGroup {
  readonly rows: number;
  readonly columns: readonly LazyColumn[];
}

/** Columns of which nothing is known. */
export function rowGroupOf(columns: readonly Column[]): RowGroup {
  const lazy = columns.map((column): LazyColumn => ({ name: column.name, key: null, make: () => column }));
  return { rows: columns[0]?.values.length ?? 0, columns: lazy };
}

interface EncodedColumn {
  readonly bytes: Uint8Array;
  readonly index: PageIndexes;
}

/** Encoded columns of one name that are kept: groups of a few kinds follow one another again and again. */
const KEPT = 8;

/** Encodes row groups one by one. A column whose key came a short while ago is not encoded again. */
export function rowGroupEncoder(): (group: RowGroup) => RowGroupBytes {
  const known = new Map<string, Map<string, EncodedColumn>>();
  return ({ rows, columns }) => {
    const encoded = columns.map(({ name, key, make }) => {
      if (key === null) return encodeColumn(make());
      const ofName = known.get(name) ?? new Map<string, EncodedColumn>();
      known.set(name, ofName);
      const found = ofName.get(key) ?? encodeColumn(make());
      ofName.delete(key); // The last of the map is the last that was used.
      ofName.set(key, found);
      for (const [oldest] of ofName) if (ofName.size > KEPT) ofName.delete(oldest);
      return found;
    });
    const bytes = new Uint8Array(encoded.reduce((sum, column) => sum + column.bytes.length, 0));
    let place = 0;
    const indexes = encoded.map((column) => {
      bytes.set(column.bytes, place);
      place += column.bytes.length;
      return movedBy(column.index, place - column.bytes.length);
    });
    return { bytes, rows, columns: indexes };
  };
}

/** One column of one row group. */
function encodeColumn(column: Column): EncodedColumn {
  const target = new ByteWriter();
  const writer = new ParquetWriter({ writer: target, schema: schemaOf([column]) });
  const start = target.offset;
  const data = column.values as ColumnSource["data"];
  const source: ColumnSource = { name: column.name, data };
  if (column.values instanceof Float64Array && isMostlyDistinct(column.values)) source.encoding = "PLAIN";
  void writer.write({ columnData: [source], rowGroupSize: Math.max(1, data.length) });
  const index = movedBy(must(writer.pendingIndexes[0], "column"), -start);
  return { bytes: target.getBytes().slice(start), index };
}

/**
 * Whether more than half of the numbers differ from one another. The library writes them plainly then; where some are equal it finds
 * out by a dictionary of all of them, which takes more time than everything else.
 */
function isMostlyDistinct(values: Float64Array): boolean {
  let slots = 2;
  while (slots < 2 * values.length) slots *= 2;
  const table = new Float64Array(slots);
  const bits = new Uint32Array(values.buffer, values.byteOffset, 2 * values.length);
  let distinct = 0;
  let hasZero = false;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (value === 0 || Number.isNaN(value)) {
      hasZero = true; // Counted as one at most: fewer distinct numbers only leave the decision to the library.
      continue;
    }
    let slot = mixed(bits[2 * i] as number, bits[2 * i + 1] as number) & (slots - 1);
    while (table[slot] !== 0 && table[slot] !== value) slot = (slot + 1) & (slots - 1);
    if (table[slot] === value) continue;
    table[slot] = value;
    distinct++;
    if (2 * distinct > values.length) return true;
  }
  return 2 * (distinct + (hasZero ? 1 : 0)) > values.length;
}

/** A hash of two words. Source: the finaliser of MurmurHash3. */
function mixed(low: number, high: number): number {
  let hash = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
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
