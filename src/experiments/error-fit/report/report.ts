/** @file The fits' part of the report: how much of each SAE's error is a linear function of its site's activation. */
import { ERROR_FITS_FILE } from "../../../artifacts/error-fit-file.js";
import type { ParquetRow } from "../../../artifacts/parquet.js";
import { fitOf } from "../../../plan/fit-spec.js";
import { formatCount, formatPercent } from "../../../report/format-number.js";
import { markup } from "../../../report/markup.js";
import { type ReportPart, resultSection } from "../../../report/report-part.js";
import { type RunContents, rowsOf } from "../../../report/run-contents.js";
import { htmlTable, numberColumn, textColumn } from "../../../report/table.js";

/** One row of error-fit.parquet. */
interface FitRow {
  readonly hook: string;
  readonly n: number;
  readonly explained: number;
}

const toFitRow = (row: ParquetRow): FitRow => ({
  hook: String(row["hook"]),
  n: Number(row["n"]),
  explained: Number(row["explained"]),
});

/** Reads the table of fits, and shows it; nothing where the sweep splits no errors. */
export async function reportPart(contents: RunContents): Promise<ReportPart> {
  const rows = (await rowsOf(contents, ERROR_FITS_FILE, toFitRow)) ?? [];
  const fit = fitOf(contents.plan.sweep);
  const name = { id: "error-fit", title: "How linear the errors are", asked: true };
  const caption =
    "Share of the variance of each SAE's error that a linear function of the site's activation explains, on the rows it was fitted on " +
    `(ridge regression, penalty ${String(fit?.ridge)} of the mean variance)`;
  const table = htmlTable(
    caption,
    [textColumn("site"), numberColumn("rows"), numberColumn("explained")],
    rows.map(({ hook, n, explained }) => [markup`<code>${hook}</code>`, formatCount(n), formatPercent(explained)]),
  );
  return {
    question: null,
    answers: [],
    glance: null,
    facts: [],
    sections: fit === undefined ? [] : [resultSection(name, [], [rows.length === 0 ? null : table])],
    tables: {
      "error-fit": {
        columns: ["hook", "n", "explained"],
        rows: rows.map(({ hook, n, explained }) => [hook, n, explained]),
      },
    },
  };
}
