/** @file How much of each SAE's error a linear function of its site's activation says: what splits errors into parts. */
import { ERROR_FITS_FILE, errorFitFile, FIT_STAGE } from "../../artifacts/error-fit-file.js";
import { fitField, fitOf } from "../../plan/fit-spec.js";
import { stage } from "../../plan/stages.js";
import type { Experiment, TaskKind } from "../experiment.js";
import { checkFit } from "./check.js";
import { fitDependencies } from "./keys.js";
import type { FitTask } from "./task.js";
import { FIT_COST } from "./work.js";

/** The experiment that fits the linear parts of SAE errors. */
export const errorFit: Experiment = {
  name: "error-fit",
  fields: { fit: fitField.optional() },
  check: checkFit,
  stages: ({ sweep, saes }) => {
    if (fitOf(sweep) === undefined) return [];
    const task: FitTask = { kind: "fit", sites: saes.map(({ site, layer }) => ({ site, layer })) };
    // A site is one shard's from start to end, so that the order of addition never depends on the workers.
    return [stage(FIT_STAGE, task, { rule: { blocks: null, slots: [[0, saes.length]], cells: 1 } })];
  },
  // Its time is the host's: the speed of tensors says nothing of it.
  probed: () => ({ fit: undefined }),
  report: () => import("./report/report.js"),
  readingOrder: 4,
  tasks: {
    fit: {
      unit: "activation rows",
      artifacts: ({ sites }) => [...sites.map(errorFitFile), ERROR_FITS_FILE],
      dependencies: fitDependencies,
      program: () => import("./program.js"),
      reduction: () => import("./reduction.js"),
      cost: FIT_COST,
    } satisfies TaskKind<FitTask>,
  },
};
