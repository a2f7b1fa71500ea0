/** @file The circuits' part of the report. */
import { formatCount } from "../../../report/format-number.js";
import { type ReportPart, resultSection } from "../../../report/report-part.js";
import { rowsOf, type RunContents } from "../../../report/run-contents.js";
import type { Plan } from "../../../plan/plan.js";
import { evaluatedPrompts } from "../../../plan/held-out.js";
import { promptClusters } from "../../../stats/clusters.js";
import { circuitsSpecOf, experimentsOf } from "../spec.js";
import { circuitFigures } from "./circuit-figure.js";
import { toCircuitRow, type CircuitRow } from "./circuit-row.js";
import { compositionCsv, compositionTable, experimentTable } from "./circuit-tables.js";
import type { CircuitContents } from "./contents.js";
import { circuitAnswer } from "./headline.js";
import { undefinedNotes } from "./undefined-ratios.js";

/** Reads the circuits' artifact, and says and shows what it holds. */
export async function reportPart(run: RunContents): Promise<ReportPart> {
  const circuits = await rowsOf(run, "circuits.parquet", toCircuitRow);
  const contents: CircuitContents = { ...run, circuits, clusters: clustersOf(run.plan, circuits) };
  const { sweep } = run.plan;
  const asked = circuitsSpecOf(sweep) !== undefined || experimentsOf(sweep).length > 0;
  return {
    question: circuitsSpecOf(sweep) === undefined ? null : "Which circuit is faithful?",
    answers: circuitAnswer(contents),
    glance: null,
    facts: circuits === null ? [] : [[formatCount(circuits.length), "circuits"]],
    sections: [
      resultSection({ id: "circuits", title: "Circuits", asked }, circuitFigures(contents), [
        compositionTable(contents),
        experimentTable(contents),
        ...undefinedNotes(contents),
      ]),
    ],
    tables: { composition: compositionCsv(contents) },
  };
}

/** As many as the table says; in those of earlier versions, as many as the plan's prompts form. */
function clustersOf(plan: Plan, circuits: readonly CircuitRow[] | null): number {
  const said = circuits?.[0]?.clusters ?? Number.NaN;
  return Number.isNaN(said) ? promptClusters(evaluatedPrompts(plan)).count : said;
}
