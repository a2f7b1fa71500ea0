/** @file The sections of the report; a section whose artifact is missing says in one line why. */
import type { Figure } from "./figure.js";
import { statusPhrase } from "./labels.js";
import { markup, type Content } from "./markup.js";
import { askSection, type NodeIndex } from "./node-index.js";
import type { Section } from "./page.js";
import { definitionList, droppedCsv, droppedTable, provenanceList, timingTable, withoutFolders } from "./provenance.js";
import { type ReportPart, resultSection, type ResultSection } from "./report-part.js";
import type { RunContents } from "./run-contents.js";
import type { Table } from "./table.js";

/** Sections in reading order, the figures among them, and the tables that are files of their own. */
export interface ReportSections {
  readonly sections: readonly Section[];
  readonly figures: readonly Figure[];
  readonly tables: ReadonlyMap<string, Table>;
}

/** All sections of a report, from the experiments' parts. */
export function reportSections(contents: RunContents, parts: readonly ReportPart[]): ReportSections {
  const results = [...parts.flatMap(({ sections }) => sections), droppedSection(contents)];
  const present = results.flatMap(({ id, title, body }): Section[] => (body === null ? [] : [{ id, title, body }]));
  const absent = results.filter(({ body }) => body === null);
  const nodes = indexOf(parts);
  const sections: Section[] = [
    ...(nodes === null ? [] : [askSection(nodes)]),
    ...present,
    ...(absent.length === 0 ? [] : [{ id: "absent", title: "Not in this report", body: absentList(contents, absent) }]),
    { id: "definitions", title: "Definitions", body: definitionList() },
    {
      id: "provenance",
      title: "Provenance",
      body: [provenanceList(contents), timingTable(contents), warnings(contents)],
    },
  ];
  return { sections, figures: results.flatMap(({ figures }) => figures), tables: tablesOf(contents, parts) };
}

/** The nodes of the part that has some. */
export function indexOf(parts: readonly ReportPart[]): NodeIndex | null {
  return parts.find(({ nodes = null }) => nodes !== null)?.nodes ?? null;
}

function droppedSection(contents: RunContents): ResultSection {
  const rows = contents.dropped.length === 0 ? markup`<p class="note">No row was dropped.</p>` : droppedTable(contents);
  return resultSection({ id: "dropped", title: "Dropped prompts", asked: null }, [], [rows]);
}

function absentList({ run }: RunContents, parts: readonly ResultSection[]): Content {
  const reason = ({ asked }: ResultSection): string => {
    if (asked === false) return "the sweep does not ask for it";
    return run.status === "complete" ? "the run holds nothing of it" : `the run ${statusPhrase(run.status)} without it`;
  };
  return markup`<ul class="absent">${parts.map((part) => markup`<li>${part.title}: ${reason(part)}.</li>`)}</ul>`;
}

function warnings({ run }: RunContents): Content {
  if (run.warnings.length === 0) return null;
  return markup`<h3>Warnings</h3><ul>${run.warnings.map((warning) => markup`<li>${withoutFolders(warning)}</li>`)}</ul>`;
}

function tablesOf(contents: RunContents, parts: readonly ReportPart[]): Map<string, Table> {
  const tables = new Map(parts.flatMap((part) => Object.entries(part.tables)));
  tables.set("dropped", droppedCsv(contents));
  for (const [name, { rows }] of tables) if (rows.length === 0) tables.delete(name);
  return tables;
}
