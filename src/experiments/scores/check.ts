/** @file Faults of a sweep's scores. */
import { INDEX_FIELDS } from "../../nodes/kinds.js";
import { methodOf, type ScoreMethods } from "../../methods/score-method.js";
import type { PlanContext } from "../../plan/plan-part.js";
import type { SweepSource } from "../../sweep/read-sweep.js";
import { borrows } from "../../plan/lender.js";
import { isBorrowed } from "../../sweep/sweep.js";
import { NO_PAIRS } from "../../plan/check-nodes.js";

/** Columns of truth.parquet and validation.parquet beside the scores' own. */
const RESERVED = new Set<string>([
  ...INDEX_FIELDS,
  ...(
    "hook kind site layer position global prompt donor ran n effect effect_sem metric_clean metric_corrupted " +
    "metric_patched normalised normalised_mean stratum inclusion_probability neuronpedia_url"
  ).split(" "),
]);

/**
 * Checks a sweep's scores.
 * @throws PatchbayError `bad_input` for names that clash, and for methods that need what the dataset lacks.
 */
export function checkScores(methods: ScoreMethods, source: SweepSource, { paired }: PlanContext): void {
  checkNames(source);
  checkBorrowing(source);
  const { sweep, fault, has } = source;
  // Scores that the file does not name are a default: what asks for them says so.
  if (paired || !has(["scores"])) return;
  sweep.scores.forEach((score, i) => {
    if (!isBorrowed(score) && methodOf(methods, score).donor === "corrupted")
      throw fault(
        ["scores", i, "method"],
        `${NO_PAIRS}, which ${score.method} needs; take the scores of a run on pairs (\`{ name: ${score.name}, from: runs/NAME }\`), use method zero, or a dataset of pairs`,
      );
  });
}

/** Where scores are another run's, so are the means, and no prompt of this run chooses anything. */
function checkBorrowing({ sweep, fault }: SweepSource): void {
  if (!borrows(sweep)) return;
  if (sweep["means"] === true)
    throw fault(["means"], "scores `from` a run bring the means of that run too; leave `means` out");
  if ("select" in sweep.dataset)
    throw fault(
      ["dataset", "select"],
      "these rows would choose nothing: scores `from` a run bring what they were chosen on; name one dataset by its `path`",
    );
}

function checkNames({ sweep, fault }: SweepSource): void {
  const names = sweep.scores.map(({ name }) => name);
  names.forEach((name, i) => {
    if (names.indexOf(name) !== i)
      throw fault(["scores", i, "name"], `the name ${name} is used twice; scores need different names`);
    if (RESERVED.has(name))
      throw fault(
        ["scores", i, "name"],
        `${name} is a column of truth.parquet or validation.parquet already; choose another name`,
      );
  });
  names.forEach((name, i) => {
    const base = name.replace(/_sem$/, "");
    if (base !== name && names.includes(base))
      throw fault(
        ["scores", i, "name"],
        `the column ${name} of validation.parquet is the standard error of ${base}; choose another name`,
      );
  });
}
