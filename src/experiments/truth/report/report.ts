/** @file The truth's part of the report. */
import { methodOf } from "../../../methods/score-method.js";
import { nodeListOf } from "../../../plan/node-list.js";
import { formatCount } from "../../../report/format-number.js";
import { scoreLabel } from "../../../report/labels.js";
import { markup, type Content } from "../../../report/markup.js";
import type { NodeIndex } from "../../../report/node-index.js";
import { type ReportPart, resultSection } from "../../../report/report-part.js";
import type { RunContents } from "../../../report/run-contents.js";
import { readTruthContents, type TruthContents } from "./contents.js";
import { answers, glance, question } from "./headline.js";
import { layerFigures } from "./layer-figure.js";
import { strongestCsv, strongestTable, worstTable } from "./node-tables.js";
import { positionFigures } from "./position-figure.js";
import { shownNodes, shownNote } from "./shown-nodes.js";
import { truthFigures } from "./truth-figures.js";
import { truthMapFigures } from "./truth-map.js";
import { reliabilityTable, validationCsv, validationTables } from "./validation-tables.js";

/** Reads the truth's artifacts, and says and shows what they hold. */
export async function reportPart(run: RunContents): Promise<ReportPart> {
  const contents = await readTruthContents(run);
  const { nodes } = contents;
  return {
    question: question(contents),
    answers: answers(contents),
    glance: glance(contents),
    facts: nodes === null ? [] : [[formatCount(nodes.length), "nodes patched"]],
    sections: sectionsOf(contents),
    nodes: indexOf(contents),
    tables: { validation: validationCsv(contents), "strongest-nodes": strongestCsv(contents) },
  };
}

/** What the page can be asked about; null where nothing was measured. */
function indexOf(contents: TruthContents): NodeIndex | null {
  const { plan, nodes } = contents;
  if (nodes === null || nodes.length === 0) return null;
  const shown = shownNodes(contents);
  return {
    nodes: shown,
    scores: plan.sweep.scores.map((score) => ({
      name: score.name,
      label: scoreLabel(contents, score.name),
      estimates: methodOf(contents.methods, score).donor !== "zero",
    })),
    layers: plan.shape.nLayers,
    note: shownNote(shown.length, nodes.length),
  };
}

function sectionsOf(contents: TruthContents): ReportPart["sections"] {
  const { sweep } = contents.plan;
  const asked = nodeListOf(sweep) !== undefined;
  const compared = asked && sweep.scores.length > 0;
  const statistics = validationTables(contents);
  const footnote = statistics.length === 0 ? null : footnotes(contents);
  return [
    resultSection({ id: "truth", title: "Score against truth", asked: compared }, truthFigures(contents)),
    resultSection({ id: "maps", title: "Effects by layer and position", asked }, truthMapFigures(contents)),
    resultSection({ id: "positions", title: "Where the score holds", asked: compared }, [
      ...positionFigures(contents),
      ...layerFigures(contents),
    ]),
    resultSection({ id: "statistics", title: "Statistics", asked: compared }, [], [...statistics, footnote]),
    resultSection({ id: "reliability", title: "Noise floor", asked }, [], reliabilityTables(contents)),
    resultSection({ id: "strongest", title: "Strongest nodes", asked }, [], nodeTables(contents)),
  ];
}

function footnotes({ groups }: TruthContents): Content {
  const sampled = (groups ?? []).some(({ weighted, pearson }) => weighted.pearson.value !== pearson.value);
  return markup`<p class="note">95 % bootstrap intervals over prompts in brackets. † the resamples' mean lies more than half an interval from the estimate: prompts are too few for this many nodes, and the interval leans to the side of noise.${
    sampled && " Weighted rows count each sampled node by the number of nodes it stands for."
  }</p>`;
}

function reliabilityTables(contents: TruthContents): Content[] {
  const table = reliabilityTable(contents);
  if (table === null) return [];
  return [
    table,
    markup`<p class="note">Effects of random halves of the prompts against each other, mean and 95 % range over splits: how far the effects would repeat on other prompts like these. A score shares its prompts, and so its noise, with the effects beside it, and can agree with them better than that. Arithmetic: the same effects computed again with another block shape.</p>`,
  ];
}

function nodeTables(contents: TruthContents): Content[] {
  const table = strongestTable(contents);
  if (table === null) return [];
  return [
    table,
    worstTable(contents),
    markup`<p class="note">All measured nodes: <a href="report/strongest-nodes.csv">CSV</a>. Brackets: mean ± 1.96 standard errors over prompts.</p>`,
  ];
}
