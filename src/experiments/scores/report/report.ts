/** @file The scores' part of the report. */
import { methodOf } from "../../../methods/score-method.js";
import { type ReportPart, resultSection } from "../../../report/report-part.js";
import { type RunContents } from "../../../report/run-contents.js";
import { isBorrowed } from "../../../sweep/sweep.js";
import { componentFigures } from "./component-figure.js";
import { readScoresContents } from "./contents.js";
import { scoreMapFigures } from "./score-maps.js";

/** Reads the scores' artifacts, and shows what they hold. */
export async function reportPart(run: RunContents): Promise<ReportPart> {
  const contents = await readScoresContents(run);
  const { methods } = run;
  const { scores } = run.plan.sweep;
  const hasComponents = scores.some((score) => !isBorrowed(score) && methodOf(methods, score).hasComponents);
  return {
    question: null,
    answers: [],
    glance: null,
    facts: [],
    sections: [
      resultSection(
        { id: "scores", title: "Scores by layer and position", asked: scores.length > 0 },
        scoreMapFigures(contents),
      ),
      resultSection(
        { id: "factors", title: "Components of the scores", asked: hasComponents },
        componentFigures(contents),
      ),
    ],
    tables: {},
  };
}
