/**
 * @file A matrix in a file, `[rows, columns]`, which is written by rows and read by columns, or the other way: it may be larger than
 * memory. Columns are cut into ranges, and a range's rows lie together, so that both are read in few pieces.
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { assert } from "../base/assert.js";
import { writeFault } from "../base/write-file.js";

/** What a matrix holds. */
export type Cells = Float64Array | Uint8Array;

/** A matrix's place and shape: enough to open it in another thread. */
export interface MatrixShape {
  readonly path: string;
  readonly rows: number;
  readonly columns: number;
  /** Columns of a range; the last may have fewer. */
  readonly width: number;
  readonly type: "float64" | "uint8";
}

/** An open matrix. Cells that were never written are 0. Owner: whoever opened it, through `close`. */
export interface DiskMatrix extends MatrixShape {
  /** Writes some columns of rows that follow one another, `[count, end - start]`. @throws PatchbayError `disk_full`. */
  writeRows(first: number, values: Cells, columns: readonly [start: number, end: number]): void;
  /** Reads all columns of rows that follow one another, `[count, columns]`. */
  readRows(first: number, count: number): Cells;
  /** Reads some rows of one range, `[count, columns of the range]`. */
  readRange(range: number, first: number, count: number): Cells;
  close(): void;
}

/** Opens a matrix. @param isNew - whether all cells are 0 still. */
export function openMatrix(shape: MatrixShape, isNew = false): DiskMatrix {
  const { path, rows, columns, width, type } = shape;
  const file = openSync(path, isNew ? "w+" : "r+");
  const bytes = type === "float64" ? 8 : 1;
  const widthOf = (range: number): number => Math.min(width, columns - range * width);
  const placeOf = (range: number, row: number): number => bytes * (range * width * rows + row * widthOf(range));
  const make = (size: number): Cells => (type === "float64" ? new Float64Array(size) : new Uint8Array(size));
  const write = (values: Cells, from: number, size: number, place: number): void => {
    const view = new Uint8Array(values.buffer, values.byteOffset + from * bytes, size * bytes);
    try {
      for (let done = 0; done < view.length;) done += writeSync(file, view, done, view.length - done, place + done);
    } catch (thrown) {
      throw writeFault(path, thrown);
    }
  };
  const readRange = (range: number, first: number, count: number): Cells => {
    const cells = make(count * widthOf(range));
    readInto(file, new Uint8Array(cells.buffer), placeOf(range, first));
    return cells;
  };
  return {
    ...shape,
    writeRows: (first, values, [start, end]) => {
      const own = end - start;
      const count = own === 0 ? 0 : values.length / own;
      for (let range = Math.floor(start / width); range * width < end; range++) {
        const [from, to] = [Math.max(start, range * width), Math.min(end, range * width + widthOf(range))];
        const part = columnsOf(values, { own, from: from - start, to: to - start }, make(count * (to - from)));
        if (to - from === widthOf(range)) write(part, 0, part.length, placeOf(range, first));
        else
          for (let row = 0; row < count; row++)
            write(part, row * (to - from), to - from, placeOf(range, first + row) + bytes * (from - range * width));
      }
    },
    readRange,
    readRows: (first, count) => {
      const all = make(count * columns);
      for (let range = 0; range * width < columns; range++) {
        const [part, own] = [readRange(range, first, count), widthOf(range)];
        for (let row = 0; row < count; row++)
          all.set(part.subarray(row * own, (row + 1) * own), row * columns + range * width);
      }
      return all;
    },
    close: () => {
      closeSync(file);
    },
  };
}

/** Some columns of rows, `own` wide each, one row after the other. */
function columnsOf(
  values: Cells,
  { own, from, to }: { readonly own: number; readonly from: number; readonly to: number },
  part: Cells,
): Cells {
  if (from === 0 && to === own) return values;
  const width = to - from;
  for (let row = 0; row * width < part.length; row++)
    part.set(values.subarray(row * own + from, row * own + to), row * width);
  return part;
}

/** What lies behind the end of the file was never written. */
function readInto(file: number, view: Uint8Array, place: number): void {
  for (let done = 0; done < view.length;) {
    const read = readSync(file, view, done, Math.min(2 ** 30, view.length - done), place + done);
    if (read === 0) return;
    done += read;
  }
}

/** Numbers of a matrix of float64. */
export function asFloats(cells: Cells): Float64Array {
  assert(cells instanceof Float64Array, "a matrix of float64");
  return cells;
}

/** Numbers of a matrix of bytes. */
export function asBytes(cells: Cells): Uint8Array {
  assert(cells instanceof Uint8Array, "a matrix of uint8");
  return cells;
}
