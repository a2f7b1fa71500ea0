/** @file The sections of the report; a section whose artifact is missing says in one line why. */
import { circuitFigures } from "./circuit-figure.js";
import { compositionCsv, compositionTable, experimentTable } from "./circuit-tables.js";
import { componentFigures } from "./component-figure.js";
import type { Figure } from "./figure.js";
import { markup, type Content } from "./markup.js";
import { strongestCsv, strongestTable, worstTable } from "./node-tables.js";
import { figureBlock, type Section } from "./page.js";
import { positionFigures } from "./position-figure.js";
import { definitionList, droppedCsv, droppedTable, provenanceList, timingTable } from "./provenance.js";
import type { RunContents } from "./run-contents.js";
import { scoreMapFigures } from "./score-maps.js";
import type { Table } from "./table.js";
import { truthFigures } from "./truth-figures.js";
import { reliabilityTable, validationCsv, validationTables } from "./validation-tables.js";

/** Sections in reading order, the figures among them, and the tables that are files of their own. */
export interface ReportParts {
  readonly sections: readonly Section[];
  readonly figures: readonly Figure[];
  readonly tables: ReadonlyMap<string, Table>;
}

/** Builds all parts of a report. */
export function reportParts(contents: RunContents): ReportParts {
  const { plan } = contents;
  const truth = truthFigures(contents);
  const positions = positionFigures(contents);
  const maps = scoreMapFigures(contents);
  const components = componentFigures(contents);
  const circuits = circuitFigures(contents);
  const asksTruth = plan.sweep.truth !== undefined;
  const asksCircuits = plan.sweep.circuits !== undefined || plan.sweep.experiments.length > 0;
  const absent = (asked: boolean, what: string): Content =>
    markup`<p class="absent">${reasonOf(contents, asked, what)}</p>`;
  const blocks = (figures: readonly Figure[], otherwise: Content): Content =>
    figures.length === 0 ? otherwise : figures.map(figureBlock);
  const scored = plan.sweep.scores.length > 0;
  const statistics = validationTables(contents);
  const composition = compositionTable(contents);
  const experiments = experimentTable(contents);
  const sections: Section[] = [
    { id: "truth", title: "Score against truth", body: blocks(truth, absent(asksTruth, "true patching")) },
    ...(positions.length === 0
      ? []
      : [{ id: "positions", title: "Where the score holds", body: blocks(positions, null) }]),
    {
      id: "statistics",
      title: "Statistics",
      body:
        statistics.length === 0
          ? absent(asksTruth && scored, "comparison of scores with true effects")
          : [...statistics, footnotes(contents)],
    },
    { id: "reliability", title: "Noise floor", body: reliabilityBody(contents) ?? absent(asksTruth, "noise floor") },
    { id: "strongest", title: "Strongest nodes", body: nodesBody(contents) ?? absent(asksTruth, "true patching") },
    { id: "scores", title: "Scores by layer and position", body: blocks(maps, absent(scored, "scores")) },
    {
      id: "components-section",
      title: "Components of the scores",
      body: blocks(
        components,
        absent(
          plan.sweep.scores.some(({ method }) => method === "atp"),
          "components of AtP scores",
        ),
      ),
    },
    {
      id: "circuits",
      title: "Circuits",
      body: [blocks(circuits, experiments === null && absent(asksCircuits, "circuits")), composition, experiments],
    },
    {
      id: "dropped",
      title: "Dropped prompts",
      body:
        contents.dropped.length === 0
          ? markup`<p class="absent">Every row of the dataset was used.</p>`
          : droppedTable(contents),
    },
    { id: "definitions", title: "Definitions", body: definitionList() },
    {
      id: "provenance",
      title: "Provenance",
      body: [provenanceList(contents), timingTable(contents), warnings(contents)],
    },
  ];
  return {
    sections,
    figures: [...truth, ...positions, ...maps, ...components, ...circuits],
    tables: tablesOf(contents),
  };
}

function reasonOf({ run }: RunContents, asked: boolean, what: string): string {
  if (!asked) return `The sweep asks for no ${what}.`;
  return run.status === "complete"
    ? `The run holds no ${what}.`
    : `The run is ${run.status}: what it should hold of ${what} is missing.`;
}

function footnotes({ groups }: RunContents): Content {
  const sampled = (groups ?? []).some(({ weighted, pearson }) => weighted.pearson.value !== pearson.value);
  return markup`<p class="note">95 % bootstrap intervals over prompts in brackets. † the resamples' mean lies more than half an interval from the estimate: prompts are too few for this many nodes, and the interval leans to the side of noise.${
    sampled && " Weighted rows count each sampled node by the number of nodes it stands for."
  }</p>`;
}

function reliabilityBody(contents: RunContents): Content {
  const table = reliabilityTable(contents);
  if (table === null) return null;
  return [
    table,
    markup`<p class="note">Effects of random halves of the prompts against each other, mean and 95 % range over splits: how far the effects would repeat on other prompts like these. A score shares its prompts, and so its noise, with the effects beside it, and can agree with them better than that. Arithmetic: the same effects computed again with another block shape.</p>`,
  ];
}

function nodesBody(contents: RunContents): Content {
  const table = strongestTable(contents);
  return table === null
    ? null
    : [
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
