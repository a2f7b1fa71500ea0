import { resolve } from "node:path";
import { expect, it } from "vitest";
import { REGISTER } from "../../../src/experiments/registry.js";
import { planSweep } from "../../../src/plan/make-plan.js";
import type { Plan } from "../../../src/plan/plan.js";
import { stageView } from "../../../src/plan/stage-view.js";

const SWEEP = `name: first
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs.jsonl }
scores: [{ name: atp, method: atp }]
truth: { positions: [-1], errors: {} }
experiments:
  - { name: named, ablate: { nodes: [blocks.2.hook_resid_post.hook_sae_error], positions: [-1] } }
`;

async function planOf(sweep: string): Promise<Plan> {
  const source = { text: sweep, file: "sweep.yaml", baseFolder: resolve("test/fixtures/tiny-a") };
  return (await planSweep(REGISTER.experiments, source, { backend: "wasm", autoThreads: 1 })).plan;
}

/** Stages of the changed sweep whose reductions see something else, or that are new. */
async function changedStages(sweep: string): Promise<string[]> {
  const [before, after] = [await planOf(SWEEP), await planOf(sweep)];
  const views = new Set(before.stages.map(({ id }) => stageView(REGISTER.experiments, before, id)));
  return after.stages.map(({ id }) => id).filter((id) => !views.has(stageView(REGISTER.experiments, after, id)));
}

it.each([
  ["the name of the sweep", SWEEP.replace("first", "second"), []],
  ["another experiment", `${SWEEP}  - { name: more, ablate: { kind: error } }\n`, ["sets", "circuits"]],
])("what a reduction sees changes with %s where it may read that", async (_, sweep, stages) => {
  expect(await changedStages(sweep)).toEqual(stages);
});

it("what a reduction sees changes everywhere with the rows, the seed and the truth, which scores read", async () => {
  const all = (await planOf(SWEEP)).stages.map(({ id }) => id);
  expect(await changedStages(SWEEP.replace("pairs.jsonl", "pairs.jsonl, limit: 9"))).toEqual(all);
  expect(await changedStages(`${SWEEP}seed: 4\n`)).toEqual(all);
  expect(await changedStages(SWEEP.replace("errors: {}", "errors: { layers: [1] }"))).toEqual(all);
});

it("what a reduction sees changes with sets where the truth names some", async () => {
  const named = (nodes: string, layer: string): string =>
    `${SWEEP.replace("errors: {}", `nodes: [${nodes}]`)}sets: { late: { kind: error, layers: ${layer}, at: -1 } }\n`;
  const differs = async (nodes: string): Promise<string[]> => {
    const [before, after] = [await planOf(named(nodes, "1")), await planOf(named(nodes, "2"))];
    const viewOf = (plan: Plan, id: string): string => stageView(REGISTER.experiments, plan, id);
    return after.stages.map(({ id }) => id).filter((id) => viewOf(before, id) !== viewOf(after, id));
  };
  expect(await differs("late")).toContain("nodes");
  expect(await differs("{ set: { set: late }, top: 1 }")).toContain("nodes");
  expect(await differs("{ kind: error, at: -1 }")).not.toContain("nodes");
});
