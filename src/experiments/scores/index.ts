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
import { openLender } from "../../artifacts/open-lender.js";
import { isBorrowed, type ScoreSpec } from "../../sweep/sweep.js";
import type { SweepNeeds } from "../../sweep/sweep-part.js";
import type { Experiment, TaskKind } from "../experiment.js";
import { checkScores } from "./check.js";
import { scoresDependencies } from "./keys.js";
import type { ScoresTask } from "./task.js";
import { scoresShardWork } from "./work.js";

/** AtP under its own name: the scores of a sweep that needs some and names none. */
const DEFAULT_SCORES: readonly ScoreSpec[] = [{ name: "atp", method: "atp" }];

/** Scores of another run. Its plan says how they were made. */
const borrowed = z
  .strictObject({
    name: nameField,
    method: z.literal("from").optional(),
    from: z
      .string({
        error: ({ input }) => (input === undefined ? "give `method`, or the folder of a run in `from`" : undefined),
      })
      .min(1),
  })
  .transform((score): ScoreSpec => ({ ...score, method: "from" }));

/** The experiment with these methods. */
export function scoresExperiment(methods: ScoreMethods): Experiment {
  return {
    name: "scores",
    fields: { scores: scoresField(methods) },
    asked: { field: "scores", isIn: ({ scores }) => !scores.every(isBorrowed) },
    complete: (sweep, needs) => ({ ...sweep, scores: scoresOf(sweep.scores, needs) }),
    openLender,
    check: (source, context) => {
      checkScores(methods, source, context);
    },
    stages: ({ sweep, saes, promptBlocks }) =>
      ownScores(sweep.scores).map((score) => {
        // The truth is compared with the scores of the same prompts.
        const blocks = nodeListOf(sweep) === undefined ? promptBlocks.select : promptBlocks.all;
        const task: ScoresTask = { kind: "scores", score };
        const fits = fitOf(sweep) === undefined ? {} : errorFitInputs(saes);
        return stage(`scores-${score.name}`, task, { ...fits, promptBlocks: promptBlocks.list, rule: { blocks } });
      }),
    probed: ({ scores }) => ({ scores: ownScores(scores).slice(0, 1) }),
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
  return z.array(z.discriminatedUnion("method", [first, ...others, borrowed])).optional();
}

/** Those that the sweep computes itself. */
function ownScores(scores: readonly ScoreSpec[]): readonly ScoreSpec[] {
  return scores.filter((score) => !isBorrowed(score));
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
    dependencies: scoresDependencies,
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
