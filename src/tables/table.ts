/** @file A table as rows of cells, each with its text for people and its value for programs; and Markdown of one. */
import { formatShort, UNDEFINED, type Bounded } from "../report/format-number.js";

/** One cell. */
export interface Cell {
  readonly text: string;
  readonly value: string | number | Bounded;
}

/** A table under a headline. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  /** As many cells a row as there are columns. */
  readonly rows: readonly (readonly Cell[])[];
  /** Rows of one group come together, and the group's name, their first cell, is shown in the first of them alone. */
  readonly grouped: boolean;
}

/** Tables of one subject. */
export interface Section {
  readonly title: string;
  readonly tables: readonly Table[];
}

/** A cell that is the same for people and programs. */
export function plain(value: string | number): Cell {
  return { text: String(value), value };
}

/** A cell that shows its number as `text`. */
export function shownAs(text: string, value: number): Cell {
  return { text, value };
}

/** An estimate with its interval where it has one, two digits each: `.83 [.79, .87]`. */
export function bounded({ value, low, high }: Bounded): Cell {
  const interval = low === null && high === null ? "" : ` [${twoDigits(low)}, ${twoDigits(high)}]`;
  const text = `${twoDigits(value)}${interval}`;
  return { text, value: { value, low, high } };
}

function twoDigits(number: number | null): string {
  return number === null || Number.isNaN(number) ? UNDEFINED : formatShort(number, 1);
}

/** Sections with the values of cells: numbers, and estimates as `{ value, low, high }`, null where undefined. */
export function toValues(sections: readonly Section[]) {
  return sections.map(({ title, tables }) => ({
    title,
    tables: tables.map(({ title: headline, columns, rows }) => ({
      title: headline,
      columns,
      rows: rows.map((row) => row.map(({ value }) => value)),
    })),
  }));
}

/** Sections as Markdown, with headlines of the second and third level. */
export function toMarkdown(sections: readonly Section[]): string {
  return sections.map(({ title, tables }) => [`## ${title}`, ...tables.map(tableMarkdown)].join("\n\n")).join("\n\n");
}

function tableMarkdown({ title, columns, rows, grouped }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const shown = rows.map((row, i) => {
    const [first, ...rest] = row.map(({ text }) => text);
    const repeats = grouped && i > 0 && rows[i - 1]?.[0]?.text === first;
    return line([repeats ? "" : (first ?? ""), ...rest]);
  });
  return [`### ${title}`, "", line(columns), line(columns.map(() => "---")), ...shown].join("\n");
}
