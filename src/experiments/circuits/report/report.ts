/** @file The circuits' part of the report. */
import { formatCount } from "../../../report/format-number.js";
import { type ReportPart, resultSection } from "../../../report/report-part.js";
import { rowsOf, type RunContents } from "../../../report/run-contents.js";
import { circuitsSpecOf, experimentsOf } from "../spec.js";
import { circuitFigures } from "./circuit-figure.js";
import { thresholdCircuits, toCircuitRow } from "./circuit-row.js";
import { compositionCsv, compositionTable, experimentTable } from "./circuit-tables.js";
import type { CircuitContents } from "./contents.js";
import { circuitAnswer } from "./headline.js";
import { undefinedNotes } from "./undefined-ratios.js";

/** Reads the circuits' artifact, and says and shows what it holds. */
export async function reportPart(run: RunContents): Promise<ReportPart> {
  const circuits = await rowsOf(run, "circuits.parquet", toCircuitRow);
  const contents: CircuitContents = { ...run, circuits };
  const { sweep } = run.plan;
  const asked = circuitsSpecOf(sweep) !== undefined || experimentsOf(sweep).length > 0;
  return {
    question: circuitsSpecOf(sweep) === undefined ? null : "Which circuit is faithful?",
    answers: circuitAnswer(thresholdCircuits(circuits)),
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
