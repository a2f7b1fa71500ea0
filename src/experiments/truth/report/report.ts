/** @file The truth's part of the report. */
import { nodeListOf } from "../../../plan/node-list.js";
import { formatCount } from "../../../report/format-number.js";
import { scoreLabel } from "../../../report/labels.js";
import { markup, type Content } from "../../../report/markup.js";
import type { NodeIndex } from "../../../report/node-index.js";
import { type ReportPart, resultSection } from "../../../report/report-part.js";
import type { RunContents } from "../../../report/run-contents.js";
import { fittingScores } from "../score-donors.js";
import { asksNodes, readTruthContents, type TruthContents } from "./contents.js";
import { calibrationFigures } from "./calibration-figure.js";
import { answers, glance, question } from "./headline.js";
import { jointTables } from "./joint-table.js";
import { layerFigures } from "./layer-figure.js";
import { strongestCsv, strongestTable, worstTable } from "./node-tables.js";
import { positionFigures } from "./position-figure.js";
import { recallFigures } from "./recall-figure.js";
import { shownNodes, shownNote } from "./shown-nodes.js";
import { strongestPrompts } from "./strongest-prompts.js";
import { truthFigures } from "./truth-figures.js";
import { truthMapFigures } from "./truth-map.js";
import {
  differencesTable,
  perPromptTable,
  reliabilityTable,
  unmeasuredTable,
  validationCsv,
  validationTables,
} from "./validation-tables.js";
import { truthNote } from "./group-labels.js";

/** Reads the truth's artifacts, and says and shows what they hold. */
export async function reportPart(run: RunContents): Promise<ReportPart> {
  const contents = await readTruthContents(run);
  return {
    question: question(contents),
    answers: answers(contents),
    glance: glance(contents),
    facts: factsOf(contents),
    sections: sectionsOf(contents),
    nodes: await indexOf(contents),
    tables: { validation: validationCsv(contents), "strongest-nodes": strongestCsv(contents) },
  };
}

function factsOf(contents: TruthContents): ReportPart["facts"] {
  const { nodes, joint } = contents;
  return [
    ...(nodes === null || !asksNodes(contents) ? [] : [[formatCount(nodes.length), "nodes patched"] as const]),
    ...(joint.length === 0 ? [] : [[formatCount(joint.length), "sets patched at once"] as const]),
  ];
}

/** What the page can be asked about; null where nothing was measured. */
async function indexOf(contents: TruthContents): Promise<NodeIndex | null> {
  const { plan, nodes, folder, example, prompts, joint } = contents;
  if (nodes === null || nodes.length === 0) return null;
  const shown = shownNodes(contents);
  const fitting = fittingScores(contents.methods, plan.sweep);
  const ofSets = joint.reduce((sum, { n }) => sum + n, 0);
  const strongest = await strongestPrompts(folder, nodes, shown, ofSets);
  return {
    nodes: shown,
    scores: plan.sweep.scores.map((score) => ({
      name: score.name,
      label: scoreLabel(contents, score.name),
      estimates: fitting.includes(score.name),
    })),
    layers: plan.shape.nLayers,
    saes: plan.saes,
    example,
    prompts: shown.slice(0, strongest.size).map((node) => strongest.get(node) ?? []),
    textOf: (prompt) => {
      const row = prompts?.[prompt];
      return row === undefined ? null : `${row.text.clean.text} (line ${String(row.ids.line)})`;
    },
    note: shownNote(shown.length, nodes.length),
  };
}

function sectionsOf(contents: TruthContents): ReportPart["sections"] {
  const { sweep } = contents.plan;
  const asked = asksNodes(contents);
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
    resultSection(
      { id: "statistics", title: "Statistics", asked: compared },
      [...calibrationFigures(contents), ...recallFigures(contents)],
      [...statistics, footnote, ...comparisons(contents)],
    ),
    resultSection({ id: "reliability", title: "Noise floor", asked }, [], reliabilityTables(contents)),
    ...(nodeListOf(sweep)?.joint === undefined ? [] : [jointSection(contents)]),
    resultSection({ id: "strongest", title: "Strongest nodes", asked }, [], nodeTables(contents)),
  ];
}

function jointSection(contents: TruthContents): ReportPart["sections"][number] {
  return resultSection({ id: "joint", title: "Sets patched at once", asked: true }, [], jointTables(contents));
}

function footnotes(contents: TruthContents): Content {
  const sampled = (contents.groups ?? []).some(({ weighted, pearson }) => weighted.pearson.value !== pearson.value);
  const note = truthNote(contents);
  return markup`<p class="note">${sampled && "Each measured node counts by how many nodes of its frame it stands for. "}${note !== "" && `In brackets: ${note.slice(1, -1)}, seeded bootstrap; groups of fewer than ten nodes have none. These intervals hold one by one: of twenty, one may miss. `}† the resamples' mean lies more than half an interval from the estimate: prompts are too few for this many nodes, and the interval leans to the side of noise. Off: summed |score − effect| over summed |effect|, so 0 is exact and a score of 0 everywhere gives 1. Size ratio: standard deviation of scores over that of effects. Same sign, by effect: each node counts by the size of its effect. Recall at 10: the share of the ten largest effects that are among the ten largest scores.</p>`;
}

/** Scores against each other, single prompts, and what was not measured. */
function comparisons(contents: TruthContents): Content[] {
  const unmeasured = unmeasuredTable(contents);
  const perPrompt = perPromptTable(contents);
  return [
    differencesTable(contents),
    perPrompt,
    perPrompt === null
      ? null
      : markup`<p class="note">Whether single prompts agree, or only their means: the spread of the correlation over prompts, and the correlation of the means beside it.</p>`,
    unmeasured,
    unmeasured === null
      ? null
      : markup`<p class="note">Effect size: the tenth largest of the family's measured effects. At most this share of the stratum's nodes has a larger mean effect over these prompts, at 95 % confidence: the rule of three where none of the random sample has one, else a Poisson bound.</p>`,
  ];
}

function reliabilityTables(contents: TruthContents): Content[] {
  const table = reliabilityTable(contents);
  if (table === null) return [];
  return [
    table,
    markup`<p class="note">Effects of random halves of the prompts' clusters against each other, the mean over splits and what holds the middle 95 % of them: how far the effects would repeat on other such clusters. A score shares its prompts, and so its noise, with the effects beside it, and can agree with them better than that. Correlation within clusters: the median intraclass correlation of the ten largest effects. Arithmetic: the same effects computed again with another block shape; it is 0 by construction where the backend computes each row by itself, as wasm does.</p>`,
  ];
}

function nodeTables(contents: TruthContents): Content[] {
  const table = asksNodes(contents) ? strongestTable(contents) : null;
  if (table === null) return [];
  return [
    table,
    worstTable(contents),
    markup`<p class="note">All measured nodes: <a href="report/strongest-nodes.csv">CSV</a>. Brackets: mean ± 1.96 standard errors, by clusters of prompts.</p>`,
  ];
}
