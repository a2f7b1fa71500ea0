/** @file The probe: the sweep's own programs, run for a moment so that an estimate can be corrected by what they take. */
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { countWork, predict } from "../../src/cost/estimate.js";
import { probeConfig, probePlan, probePrompts } from "../../src/cost/probe-plan.js";
import type { Rates } from "../../src/cost/rates.js";
import { type PlannedRun, planSweep } from "../../src/plan/make-plan.js";
import { readModelConfig } from "../../src/weights/model-config.js";
import { startBackend } from "../../src/worker/backends/wasm.js";
import { calibrate } from "../../src/worker/calibrate.js";
import { probe } from "../../src/worker/probe.js";
import { TINY_A } from "./golden.js";
import { TEST_BACKEND } from "./test-backend.js";

const SWEEP = (saes: string): string => `name: probed
model: { path: ${TINY_A}/model }
saes: ${saes}
dataset: { path: ${TINY_A}/data/pairs-mixed-lengths.jsonl, limit: 8 }
scores: [{ name: atp, method: atp }, { name: steps, method: ig, steps: 2 }]
means: true
truth: { positions: [all, global] }
circuits: { thresholds: [0.1, 0.01, 0.001] }
`;
const WITH_SAES = SWEEP(`{ path: ${TINY_A}/saes }`);
const WITHOUT = SWEEP("none").replace("[all, global] }", "[all], heads: {} }");
const KINDS = ["means", "scores", "truth", "circuits"];

describe("the probe of a plan", () => {
  let planned: PlannedRun;
  let rates: Rates;
  const config = readModelConfig(`${TINY_A}/model`);
  const plan = async (text: string): Promise<PlannedRun> =>
    planSweep(text, "sweep.yaml", TINY_A, { backend: TEST_BACKEND, autoThreads: 1 });
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
    planned = await plan(WITH_SAES);
    rates = calibrate({ products: [...countWork(planned.plan, config, 1).shapes], budgetMs: 50 }, 1e8);
  });

  it("has the first layers, prompts of one length, and a stage for each program, which no artifact feeds", () => {
    const prompts = probePrompts(planned.plan);
    expect(new Set(prompts.map(({ clean }) => clean.length)).size).toBe(1);
    const small = probePlan(planned.plan, config, prompts);
    expect(probeConfig(config)).toMatchObject({ nLayers: 2, layerTypes: config.layerTypes.slice(0, 2) });
    expect(small.saes.map(({ layer }) => layer)).toEqual([0, 0, 0, 1, 1, 1]);
    const computed = small.stages.filter(({ shards }) => shards.length > 0);
    expect(computed.map(({ task }) => task.kind)).toEqual(KINDS);
    expect(computed.flatMap(({ task }) => (task.kind === "truth" ? [task.nodes] : []))).toEqual(["error"]);
  });

  it.each([
    ["with SAEs", WITH_SAES],
    ["without", WITHOUT],
  ])(
    "says of every program what it takes over what the rates predict, %s, and leaves no tensors behind",
    async (_, text) => {
      const { plan: made, inputs } = await plan(text);
      await expect(async () => {
        const corrections = await probe({ plan: made, inputs, budgetMs: 1 }, rates);
        expect(Object.keys(corrections).sort()).toEqual(KINDS.filter((kind) => kind in corrections).sort());
        expect(Object.keys(corrections)).toEqual(expect.arrayContaining(["scores", "truth", "circuits"]));
        for (const { products, rest } of Object.values(corrections)) {
          expect(products).toBeGreaterThan(0);
          expect(rest).toBeGreaterThan(0);
        }
      }).toLeakNoTensors();
    },
  );

  it("corrects the stages of its program alone: products by one factor, all else by another", () => {
    const run = countWork(planned.plan, config, 1);
    const corrected = { ...rates, corrections: { scores: { products: 2, rest: 3 } } };
    const [before, after] = [predict(run, rates, 1, 1).stages, predict(run, corrected, 1, 1).stages];
    for (const [id, stage] of Object.entries(after)) {
      const { products, traffic, calls } = must(before[id], "stage").seconds_by_part;
      const [times, other] = id.startsWith("scores-") ? [2, 3] : [1, 1];
      expect(stage.seconds_by_part.products).toBeCloseTo(times * products, 12);
      expect(stage.seconds).toBeCloseTo(times * products + other * (traffic + calls), 12);
    }
  });
});
