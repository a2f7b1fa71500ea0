/** @file Faults of a sweep's scores. */
import { INDEX_FIELDS } from "../../nodes/kinds.js";
import { methodOf, type ScoreMethods } from "../../methods/score-method.js";
import type { PlanContext } from "../../plan/plan-part.js";
import type { SweepSource } from "../../sweep/read-sweep.js";
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
  if (paired) return;
  const { sweep, fault } = source;
  sweep.scores.forEach((score, i) => {
    if (methodOf(methods, score).donor === "corrupted")
      throw fault(
        ["scores", i, "method"],
        `${NO_PAIRS}, which ${score.method} needs; use method zero, or a dataset of pairs`,
      );
  });
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
