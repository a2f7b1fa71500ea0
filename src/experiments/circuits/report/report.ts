/** @file The circuits' part of the report. */
import { formatCount } from "../../../report/format-number.js";
import { type ReportPart, resultSection } from "../../../report/report-part.js";
import { rowsOf, type RunContents } from "../../../report/run-contents.js";
import type { Plan } from "../../../plan/plan.js";
import { evaluatedPrompts } from "../../../plan/held-out.js";
import { promptClusters } from "../../../stats/clusters.js";
import { CIRCUITS_FILE } from "../circuit-files.js";
import { CONTRASTS_FILE } from "../contrasts.js";
import { circuitsSpecOf, listedExperiments } from "../spec.js";
import { circuitFigures } from "./circuit-figure.js";
import { toCircuitRow, toContrastRow, type CircuitRow } from "./circuit-row.js";
import { compositionCsv, compositionTable, experimentTable } from "./circuit-tables.js";
import type { CircuitContents } from "./contents.js";
import { gridAnswers } from "./grid-answers.js";
import { gridFigures } from "./grid-figure.js";
import { circuitAnswer } from "./headline.js";
import { outlierFigures, outlierTables } from "./outliers.js";
import { promptsOfFew } from "./prompt-metrics.js";
import { undefinedNotes } from "./undefined-ratios.js";

/** Reads the circuits' artifact, and says and shows what it holds. */
export async function reportPart(run: RunContents): Promise<ReportPart> {
  const circuits = await rowsOf(run, CIRCUITS_FILE, toCircuitRow);
  const contrasts = await rowsOf(run, CONTRASTS_FILE, toContrastRow);
  const contents: CircuitContents = { ...run, circuits, contrasts, clusters: clustersOf(run.plan, circuits) };
  const ofFew = await promptsOfFew(run, circuits);
  const { sweep } = run.plan;
  const asked = circuitsSpecOf(sweep) !== undefined || listedExperiments(sweep).length > 0;
  return {
    question: questionOf(sweep),
    answers: [...circuitAnswer(contents), ...gridAnswers(contents)],
    glance: null,
    facts: circuits === null ? [] : [[formatCount(circuits.length), "circuits"]],
    sections: [
      resultSection(
        { id: "circuits", title: "Circuits", asked },
        [...circuitFigures(contents), ...gridFigures(contents)],
        [compositionTable(contents), experimentTable(contents), ...undefinedNotes(contents)],
      ),
      ...(ofFew.length === 0
        ? []
        : [
            resultSection(
              { id: "outliers", title: "Prompts that stand out", asked: null },
              outlierFigures(ofFew),
              outlierTables(ofFew, run),
            ),
          ]),
    ],
    tables: { composition: compositionCsv(contents) },
  };
}

function questionOf(sweep: Plan["sweep"]): string | null {
  if (circuitsSpecOf(sweep) !== undefined) return "Which circuit is faithful?";
  return listedExperiments(sweep).length > 0 ? "What is left when nodes are ablated?" : null;
}

/** As many as the table says; in those of earlier versions, as many as the plan's prompts form. */
function clustersOf(plan: Plan, circuits: readonly CircuitRow[] | null): number {
  const said = circuits?.[0]?.clusters ?? Number.NaN;
  return Number.isNaN(said) ? promptClusters(evaluatedPrompts(plan)).count : said;
}
