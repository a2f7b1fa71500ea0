/** @file The sections of the report; a section whose artifact is missing says in one line why. */
import { SCORE_METHODS } from "../plan/score-methods.js";
import { circuitFigures } from "./circuit-figure.js";
import { statusPhrase } from "./labels.js";
import type { RunContents } from "./run-contents.js";
import type { Table } from "./table.js";
import { reliabilityTable, validationCsv, validationTables } from "./validation-tables.js";
import { compositionCsv, compositionTable, experimentTable } from "./circuit-tables.js";
import { componentFigures } from "./component-figure.js";
import type { Figure } from "./figure.js";
import { layerFigures } from "./layer-figure.js";
import { markup, type Content } from "./markup.js";
import { strongestCsv, strongestTable, worstTable } from "./node-tables.js";
import { figureBlock, type Section } from "./page.js";
import { positionFigures } from "./position-figure.js";
import { definitionList, droppedCsv, droppedTable, provenanceList, timingTable } from "./provenance.js";
import { scoreMapFigures } from "./score-maps.js";
import { truthFigures } from "./truth-figures.js";
import { undefinedNotes } from "./undefined-ratios.js";

/** Sections in reading order, the figures among them, and the tables that are files of their own. */
export interface ReportParts {
  readonly sections: readonly Section[];
  readonly figures: readonly Figure[];
  readonly tables: ReadonlyMap<string, Table>;
}

/** Builds all parts of a report. */
export function reportParts(contents: RunContents): ReportParts {
  const results = resultParts(contents);
  const present = results.flatMap(({ id, title, body }): Section[] => (body === null ? [] : [{ id, title, body }]));
  const absent = results.filter(({ body }) => body === null);
  const sections: Section[] = [
    ...present,
    ...(absent.length === 0 ? [] : [{ id: "absent", title: "Not in this report", body: absentList(contents, absent) }]),
    { id: "definitions", title: "Definitions", body: definitionList() },
    {
      id: "provenance",
      title: "Provenance",
      body: [provenanceList(contents), timingTable(contents), warnings(contents)],
    },
  ];
  return { sections, figures: results.flatMap(({ figures }) => figures), tables: tablesOf(contents) };
}

/** A section that is there only if its artifacts are. */
interface ResultPart {
  readonly id: string;
  readonly title: string;
  readonly figures: readonly Figure[];
  /** Null where there is nothing to show. */
  readonly body: Content;
  /** Whether the sweep asks for it; null where it can only follow from something else. */
  readonly asked: boolean | null;
}

function resultParts(contents: RunContents): ResultPart[] {
  const { truth, scores, circuits, experiments } = contents.plan.sweep;
  const asksTruth = truth !== undefined;
  const part = (
    id: string,
    title: string,
    asked: boolean | null,
    figures: readonly Figure[],
    tables: readonly Content[] = [],
  ): ResultPart => {
    const shown = [...figures.map(figureBlock), ...tables.filter((table) => table !== null)];
    return { id, title, figures, asked, body: shown.length === 0 ? null : shown };
  };
  const statistics = validationTables(contents);
  const footnote = statistics.length === 0 ? null : footnotes(contents);
  return [
    part("truth", "Score against truth", asksTruth && scores.length > 0, truthFigures(contents)),
    part("positions", "Where the score holds", asksTruth && scores.length > 0, [
      ...positionFigures(contents),
      ...layerFigures(contents),
    ]),
    part("statistics", "Statistics", asksTruth && scores.length > 0, [], [...statistics, footnote]),
    part("reliability", "Noise floor", asksTruth, [], reliabilityTables(contents)),
    part("strongest", "Strongest nodes", asksTruth, [], nodeTables(contents)),
    part("scores", "Scores by layer and position", scores.length > 0, scoreMapFigures(contents)),
    part(
      "factors",
      "Components of the scores",
      scores.some(({ method }) => SCORE_METHODS[method].hasComponents),
      componentFigures(contents),
    ),
    part("circuits", "Circuits", circuits !== undefined || experiments.length > 0, circuitFigures(contents), [
      compositionTable(contents),
      experimentTable(contents),
      ...undefinedNotes(contents),
    ]),
    part(
      "dropped",
      "Dropped prompts",
      null,
      [],
      [
        contents.dropped.length === 0
          ? markup`<p class="note">Every row of the dataset was used.</p>`
          : droppedTable(contents),
      ],
    ),
  ];
}

function absentList({ run }: RunContents, parts: readonly ResultPart[]): Content {
  const reason = ({ asked }: ResultPart): string => {
    if (asked === false) return "the sweep does not ask for it";
    return run.status === "complete" ? "the run holds nothing of it" : `the run ${statusPhrase(run.status)} without it`;
  };
  return markup`<ul class="absent">${parts.map((part) => markup`<li>${part.title}: ${reason(part)}.</li>`)}</ul>`;
}

function footnotes({ groups }: RunContents): Content {
  const sampled = (groups ?? []).some(({ weighted, pearson }) => weighted.pearson.value !== pearson.value);
  return markup`<p class="note">95 % bootstrap intervals over prompts in brackets. † the resamples' mean lies more than half an interval from the estimate: prompts are too few for this many nodes, and the interval leans to the side of noise.${
    sampled && " Weighted rows count each sampled node by the number of nodes it stands for."
  }</p>`;
}

function reliabilityTables(contents: RunContents): Content[] {
  const table = reliabilityTable(contents);
  if (table === null) return [];
  return [
    table,
    markup`<p class="note">Effects of random halves of the prompts against each other, mean and 95 % range over splits: how far the effects would repeat on other prompts like these. A score shares its prompts, and so its noise, with the effects beside it, and can agree with them better than that. Arithmetic: the same effects computed again with another block shape.</p>`,
  ];
}

function nodeTables(contents: RunContents): Content[] {
  const table = strongestTable(contents);
  if (table === null) return [];
  return [
    table,
    worstTable(contents),
    markup`<p class="note">All measured nodes: <a href="report/strongest-nodes.csv">CSV</a>. Brackets: mean ± 1.96 standard errors over prompts.</p>`,
  ];
}

function warnings({ run }: RunContents): Content {
  if (run.warnings.length === 0) return null;
  return markup`<h3>Warnings</h3><ul>${run.warnings.map((warning) => markup`<li>${warning}</li>`)}</ul>`;
}

function tablesOf(contents: RunContents): Map<string, Table> {
  const tables = new Map<string, Table>([
    ["validation", validationCsv(contents)],
    ["strongest-nodes", strongestCsv(contents)],
    ["composition", compositionCsv(contents)],
    ["dropped", droppedCsv(contents)],
  ]);
  for (const [name, { rows }] of tables) if (rows.length === 0) tables.delete(name);
  return tables;
}
