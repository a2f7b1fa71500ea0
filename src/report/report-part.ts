/** @file What an experiment adds to the report. */
import type { Figure } from "./figure.js";
import type { Content, Markup } from "./markup.js";
import type { NodeIndex } from "./node-index.js";
import { figureBlock } from "./page.js";
import type { RunContents } from "./run-contents.js";
import type { Table } from "./table.js";

/** A section that is there only if its artifacts are. */
export interface ResultSection {
  readonly id: string;
  readonly title: string;
  readonly figures: readonly Figure[];
  /** Null where there is nothing to show. */
  readonly body: Content;
  /** Whether the sweep asks for it; null where it can only follow from something else. */
  readonly asked: boolean | null;
}

/** What names a section, and when it is missed. */
export type SectionName = Pick<ResultSection, "id" | "title" | "asked">;

/** A section of figures and tables; those that are null are left out. */
export function resultSection(
  name: SectionName,
  figures: readonly Figure[],
  tables: readonly Content[] = [],
): ResultSection {
  const shown = [...figures.map(figureBlock), ...tables.filter((table) => table !== null)];
  return { ...name, figures, body: shown.length === 0 ? null : shown };
}

/** An experiment's part of the report. */
export interface ReportPart {
  /** What was asked, a question; null where the sweep does not ask. */
  readonly question: string | null;
  /** The answer, one paragraph for each point. */
  readonly answers: readonly Markup[];
  /** A table at the top. */
  readonly glance: Markup | null;
  /** Numbers at the top, with what they count. */
  readonly facts: readonly (readonly [value: string, what: string])[];
  readonly sections: readonly ResultSection[];
  /** Nodes that the page can be asked about. */
  readonly nodes?: NodeIndex | null;
  /** Tables that are files of their own, by name. */
  readonly tables: Readonly<Record<string, Table>>;
}

/** What an experiment says of the report. */
export interface ReportedExperiment {
  /** Place of its part among the others'. */
  readonly readingOrder?: number;
  /** Loads it, with the plots and the page that only reports need; absent where the report shows nothing of it. */
  report?(): Promise<{ reportPart(contents: RunContents): Promise<ReportPart> }>;
}

/** The parts of all experiments, in reading order. */
export async function reportParts(
  experiments: readonly ReportedExperiment[],
  contents: RunContents,
): Promise<ReportPart[]> {
  const ordered = [...experiments].sort((a, b) => (a.readingOrder ?? Infinity) - (b.readingOrder ?? Infinity));
  const loaded = ordered.map(async (experiment) => await (await experiment.report?.())?.reportPart(contents));
  return (await Promise.all(loaded)).filter((part) => part !== undefined);
}
