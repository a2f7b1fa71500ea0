/** @file Scores of every node by one or several methods. */
import { z } from "zod";
import { errorFitInputs } from "../../artifacts/error-fit-file.js";
import { scoresFile } from "../../artifacts/scores-file.js";
import { methodOf, type ScoreMethods } from "../../methods/score-method.js";
import { fitOf } from "../../plan/fit-spec.js";
import { nodeListOf } from "../../plan/node-list.js";
import { promptBlockSize } from "../../plan/memory.js";
import { stage } from "../../plan/stages.js";
import { nameField } from "../../sweep/fields.js";
import type { ScoreSpec } from "../../sweep/sweep.js";
import type { SweepNeeds } from "../../sweep/sweep-part.js";
import type { Experiment, TaskKind } from "../experiment.js";
import { checkScores } from "./check.js";
import type { ScoresTask } from "./task.js";
import { scoresShardWork } from "./work.js";

/** AtP under its own name: the scores of a sweep that needs some and names none. */
const DEFAULT_SCORES: readonly ScoreSpec[] = [{ name: "atp", method: "atp" }];

/** The experiment with these methods. */
export function scoresExperiment(methods: ScoreMethods): Experiment {
  return {
    name: "scores",
    fields: { scores: scoresField(methods) },
    asked: { field: "scores", isIn: ({ scores }) => scores.length > 0 },
    complete: (sweep, needs) => ({ ...sweep, scores: scoresOf(sweep.scores, needs) }),
    check: (source, context) => {
      checkScores(methods, source, context);
    },
    stages: ({ sweep, saes, promptBlocks }) =>
      sweep.scores.map((score) => {
        // The truth is compared with the scores of the same prompts.
        const blocks = nodeListOf(sweep) === undefined ? promptBlocks.select : promptBlocks.all;
        const task: ScoresTask = { kind: "scores", score };
        const fits = fitOf(sweep) === undefined ? {} : errorFitInputs(saes);
        return stage(`scores-${score.name}`, task, { ...fits, work: blocks.map((prompts) => ({ prompts })) });
      }),
    probed: ({ scores }) => ({ scores: scores.slice(0, 1) }),
    report: () => import("./report/report.js"),
    readingOrder: 2,
    tasks: { scores: scoresKind(methods) },
  };
}

function scoresField(methods: ScoreMethods): z.ZodType {
  const specs = Object.entries(methods).map(([name, { options }]) =>
    z.strictObject({ name: nameField, method: z.literal(name), neurons: z.boolean().optional(), ...options }),
  );
  const [first, ...others] = specs;
  if (first === undefined) throw new Error("bug: there is no score method");
  return z.array(z.discriminatedUnion("method", [first, ...others])).optional();
}

/** The scores of a sweep; those of one that needs neurons have them. */
function scoresOf(given: readonly ScoreSpec[] | undefined, needs: SweepNeeds): readonly ScoreSpec[] {
  const scores = given ?? (needs.scores ? DEFAULT_SCORES : []);
  return scores.map(({ neurons = false, ...score }) =>
    needs.neurons || neurons ? { ...score, neurons: true } : score,
  );
}

function scoresKind(methods: ScoreMethods): TaskKind<ScoresTask> {
  return {
    unit: "prompts",
    artifacts: ({ score }) => {
      const scores = scoresFile(score.name);
      return methodOf(methods, score).hasComponents ? [scores, "components.parquet"] : [scores];
    },
    program: async () => {
      const { scoresProgram } = await import("./program.js");
      return { openProgram: () => scoresProgram(methods) };
    },
    reduction: async () => {
      const { scoresReduction } = await import("./reduction.js");
      return scoresReduction(methods);
    },
    cost: {
      shard: ({ plan, model }, { score }, shard) =>
        scoresShardWork(model, plan, shard, { score, method: methodOf(methods, score) }),
      alive: (shape, { prompts }) => promptBlockSize(shape, prompts),
    },
  };
}
