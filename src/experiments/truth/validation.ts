/** @file Joins the truth with the scores: both tables and the statistics. */
import type { ReductionModule } from "../../artifacts/reduction.js";
import type { ScoreMethods } from "../../methods/score-method.js";
import { encodeNodeMeans, encodeTruthRows } from "./truth-artifact.js";
import { jointFindings, jointPatches } from "./joint.js";
import { scoreDonors } from "./score-donors.js";
import { readTruthTable } from "./truth-table.js";
import { validationText } from "./validation-artifact.js";

/** Writes `truth.parquet`, `validation.parquet` and `validation.json`. */
export function validationReduction(methods: ScoreMethods): ReductionModule {
  return {
    reduce: async (_task, { source, provenance, artifacts }) => {
      const table = await readTruthTable(source, artifacts.read);
      const patches = await jointPatches(source.plan, table, artifacts.read);
      artifacts.write("truth.parquet", encodeTruthRows(table, patches, provenance));
      artifacts.write("validation.parquet", encodeNodeMeans(table, provenance));
      const donors = scoreDonors(methods, source.plan.sweep);
      const joint = jointFindings(source.plan, table, patches);
      const text = await validationText({ source, provenance, donors, joint }, table);
      artifacts.write("validation.json", Buffer.from(text));
      return [];
    },
  };
}
