/**
 * @file A register with a score method and an experiment that the product does not have, defined in this one file. The method is the mean
 * of three gradients on the line from clean to corrupted. The experiment counts, for each prompt, the tokens that differ.
 */
import { z } from "zod";
import { forEachRecord } from "../../dist/artifacts/stage-records.js";
import { registerOf } from "../../dist/experiments/registry.js";
import { METHODS } from "../../dist/methods/registry.js";
import { autodiffRules } from "../../dist/methods/score-method.js";
import { stage } from "../../dist/plan/stages.js";
import { markup } from "../../dist/report/markup.js";
import { resultSection } from "../../dist/report/report-part.js";
import { bytesOf } from "../../dist/report/run-contents.js";

const FILE = "differing-tokens.json";

/** @type {import("../../dist/methods/score-method.js").ScoreMethod} */
const threePoints = {
  label: "three-point gradient",
  source: "test/cluster/toy-register.js",
  options: { points: z.int().min(1).default(3) },
  donor: "corrupted",
  hasComponents: false,
  lineSteps: ({ points }) => Number(points),
  rules: autodiffRules,
};

/** Tokens in which a prompt's two runs differ. */
const differing = ({ clean, corrupted }) => clean.filter((id, t) => id !== corrupted?.[t]).length;

const program = {
  run: async ({ plan }, _task, shard) => {
    const counts = shard.prompts.map((index) => differing(plan.prompts[index]));
    return { payload: Buffer.from(JSON.stringify(counts)), count: counts.length, units: counts.length };
  },
  probe: async () => undefined,
};

async function reduce(_task, { source, provenance, artifacts }) {
  const counts = [];
  await forEachRecord(source, "tokens", (_shard, payload) => {
    counts.push(...JSON.parse(new TextDecoder().decode(payload)));
  });
  artifacts.write(FILE, Buffer.from(JSON.stringify({ plan: provenance.planHash, counts })));
  return [];
}

async function reportPart(contents) {
  const bytes = await bytesOf(contents, FILE);
  const { counts } = bytes === null ? { counts: [] } : JSON.parse(new TextDecoder().decode(bytes));
  const text = markup`<p>Tokens that differ: ${counts.reduce((sum, one) => sum + one, 0)}.</p>`;
  return {
    question: "In how many tokens do prompts differ?",
    answers: [],
    glance: null,
    facts: [],
    sections: [resultSection({ id: "tokens", title: "Differing tokens", asked: true }, [], [text])],
    tables: {},
  };
}

/** @type {import("../../dist/experiments/experiment.js").Experiment} */
const tokens = {
  name: "tokens",
  fields: { tokens: z.boolean().default(false) },
  asked: { field: "tokens", isIn: (sweep) => sweep["tokens"] === true },
  stages: ({ sweep, promptBlocks }) =>
    sweep["tokens"] === true
      ? [stage("tokens", { kind: "tokens" }, { promptBlocks: promptBlocks.list, rule: { blocks: promptBlocks.all } })]
      : [],
  tasks: {
    tokens: {
      unit: "prompts",
      artifacts: () => [FILE],
      program: async () => ({ openProgram: () => program }),
      reduction: async () => ({ reduce }),
    },
  },
  readingOrder: 9,
  report: async () => ({ reportPart }),
};

export const register = registerOf({ ...METHODS, three: threePoints }, [tokens]);
