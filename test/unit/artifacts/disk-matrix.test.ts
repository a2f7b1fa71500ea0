import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openMatrix, type MatrixShape } from "../../../src/artifacts/disk-matrix.js";

const [ROWS, COLUMNS] = [5, 7];
const cell = (row: number, column: number): number => 10 * row + column + 1;

function rowsFrom(type: MatrixShape["type"], first: number, count: number, [start, end]: readonly [number, number]) {
  const length = count * (end - start);
  const value = (_: unknown, i: number) => cell(first + Math.floor(i / (end - start)), start + (i % (end - start)));
  return type === "float64" ? Float64Array.from({ length }, value) : Uint8Array.from({ length }, value);
}

for (const type of ["float64", "uint8"] as const) {
  test.each([1, 3, 7, 20])(
    `what is written by rows is read by ranges and by rows: ${type}, ranges of %i columns`,
    (width) => {
      const folder = mkdtempSync(join(tmpdir(), "patchbay-matrix-"));
      onTestFinished(() => {
        rmSync(folder, { recursive: true });
      });
      const shape = { path: join(folder, "matrix"), rows: ROWS, columns: COLUMNS, width, type };
      const written = openMatrix(shape, true);
      written.writeRows(3, rowsFrom(type, 3, 2, [0, 4]), [0, 4]);
      written.writeRows(0, rowsFrom(type, 0, 3, [0, 4]), [0, 4]);
      written.writeRows(1, rowsFrom(type, 1, 4, [4, 7]), [4, 7]);
      written.close();
      const matrix = openMatrix(shape);
      expect([...matrix.readRows(1, 4)]).toEqual([...rowsFrom(type, 1, 4, [0, COLUMNS])]);
      // The first row's last columns were never written.
      expect([...matrix.readRows(0, 1)]).toEqual([1, 2, 3, 4, 0, 0, 0]);
      for (let range = 0; range * width < COLUMNS; range++) {
        const columns = [range * width, Math.min(COLUMNS, (range + 1) * width)] as const;
        expect([...matrix.readRange(range, 2, 3)]).toEqual([...rowsFrom(type, 2, 3, columns)]);
      }
      matrix.close();
    },
  );
}
