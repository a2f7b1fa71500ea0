/** @file Runs that are over before their speed would be measured. */
import { expect, it } from "vitest";
import { isSmall, workOf } from "../../../src/cli/estimate.js";
import { planSweep } from "../../../src/plan/make-plan.js";
import { REGISTER } from "../../../src/experiments/registry.js";

const PLACE = { backend: "wasm", threads: 1, workers: 1 };

/** Whether scores of so many prompts of the tiny model are a small run. */
async function isSmallWith(limit: number, scores: string): Promise<boolean> {
  const text = `name: small
model: { path: ../tiny-gemma2 }
saes: { path: ../tiny-gemma2/saes }
dataset: { path: rc.test.jsonl, limit: ${String(limit)} }
scores: [${scores}]
`;
  const source = { text, file: "sweep.yaml", baseFolder: "data/agreement" };
  const planned = await planSweep(REGISTER.experiments, source, { backend: "wasm", autoThreads: 1 });
  return isSmall(workOf(REGISTER.experiments, planned, PLACE));
}

it("AtP of four prompts is small, and integrated gradients of two hundred are not", async () => {
  expect(await isSmallWith(4, "{ name: atp, method: atp }")).toBe(true);
  expect(await isSmallWith(200, "{ name: ig, method: ig, steps: 10 }")).toBe(false);
});
