/** @file A table of a finished run row by row: it may have more rows than memory holds. */
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { artifactFile, checkArtifact } from "../run/artifacts.js";
import type { ParquetRow } from "./parquet.js";

/** Rows that are held at once. */
const ROWS_AT_ONCE = 50_000;

/**
 * Some columns of a table, row by row.
 * @param enough - whether the reader has seen enough; asked once for each chunk of rows.
 * @throws PatchbayError `damaged_artifact`.
 */
export async function* artifactRows(
  folder: string,
  name: string,
  columns: readonly string[],
  enough: () => boolean = () => false,
): AsyncGenerator<ParquetRow> {
  await checkArtifact(folder, name);
  const file = await asyncBufferFromFile(artifactFile(folder, name).path);
  const total = Number((await parquetMetadataAsync(file)).num_rows);
  for (let rowStart = 0; rowStart < total && !enough(); rowStart += ROWS_AT_ONCE) {
    const rowEnd = Math.min(total, rowStart + ROWS_AT_ONCE);
    yield* await parquetReadObjects({ file, columns: [...columns], rowStart, rowEnd });
  }
}
