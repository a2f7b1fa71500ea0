/** @file A table: as the CSV file beside a figure, and as HTML. */
import { markup, type Content, type Markup } from "./markup.js";

/** A table of plain values. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number | boolean | null)[])[];
}

/** Comma-separated values with a header (RFC 4180, but line feeds); undefined numbers are empty. */
export function toCsv({ columns, rows }: Table): string {
  const cell = (value: string | number | boolean | null): string => {
    if (value === null || (typeof value === "number" && !Number.isFinite(value))) return "";
    const text = String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

/** A column of an HTML table: numbers stand on the right. */
export interface HtmlColumn {
  readonly label: Content;
  readonly align: "text" | "number";
}

/** A column of words. */
export function textColumn(label: Content): HtmlColumn {
  return { label, align: "text" };
}

/** A column of numbers. */
export function numberColumn(label: Content): HtmlColumn {
  return { label, align: "number" };
}

/** A cell with the interval of `value [low, high]` under the value; a dagger where it is marked. */
export function stacked(text: string, marked = false): Markup {
  const [value = "", interval] = text.split(" [");
  return markup`${value}${marked && "†"}${interval !== undefined && markup`<span class="sub">[${interval}</span>`}`;
}

/** A caption without its markup. */
function plainText(caption: Content): string {
  return markup`${caption}`.text.replace(/<[^>]*>/g, "");
}

/** An HTML table in a box that scrolls by itself where the page is narrow. */
export function htmlTable(
  caption: Content,
  columns: readonly HtmlColumn[],
  rows: readonly (readonly Content[])[],
): Markup {
  const classOf = (i: number): string => (columns[i]?.align === "number" ? "number" : "text");
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="${plainText(caption)}"><table><caption>${caption}</caption>
<thead><tr>${columns.map(({ label }, i) => markup`<th scope="col" class="${classOf(i)}">${label}</th>`)}</tr></thead>
<tbody>${rows.map((row) => markup`<tr>${row.map((cell, i) => markup`<td class="${classOf(i)}">${cell}</td>`)}</tr>\n`)}</tbody>
</table></div>`;
}
