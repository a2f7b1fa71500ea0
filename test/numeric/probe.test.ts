/** @file The probe: the sweep's own programs, run for a moment so that an estimate can be corrected by what they take. */
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { countWork, predict } from "../../src/cost/estimate.js";
import { probeConfig, probePlan } from "../../src/cost/probe-plan.js";
import { type Rates, usualSeconds } from "../../src/cost/rates.js";
import { type PlannedRun, planSweep } from "../../src/plan/make-plan.js";
import { readModelConfig } from "../../src/families/read-config.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { probe } from "../../src/engine/probe.js";
import { TINY_A } from "./golden.js";
import { TEST_BACKEND } from "./test-backend.js";
import { REGISTER } from "../../src/experiments/registry.js";
import { truthTask } from "../../src/experiments/truth/task.js";
import { nodeListOf } from "../../src/plan/node-list.js";

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
const { experiments } = REGISTER;
const KINDS = ["means", "scores", "truth", "circuits"];

describe("the probe of a plan", () => {
  const config = readModelConfig(`${TINY_A}/model`);
  const plan = async (text: string): Promise<PlannedRun> =>
    planSweep(experiments, { text, file: "sweep.yaml", baseFolder: TINY_A }, { backend: TEST_BACKEND, autoThreads: 1 });
  const probed = async (text: string, budgetMs: number): Promise<Rates["corrections"]> => {
    const { plan: made, inputs } = await plan(text);
    return await probe(experiments, { plan: probePlan(experiments, made, config), inputs, budgetMs });
  };
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
  });

  it("has the first layers, a whole block of one length, and a shard of each program, which no artifact feeds", async () => {
    const { plan: made } = await plan(WITH_SAES);
    const { blocks, prompts } = made;
    const lengths = prompts.map(({ clean }) => clean.length);
    const most = Math.max(...lengths.map((length) => lengths.filter((one) => one === length).length));
    const small = probePlan(experiments, made, config);
    expect(small.prompts).toHaveLength(most);
    expect(new Set(small.prompts.map(({ clean }) => clean.length)).size).toBe(1);
    expect(probePlan(experiments, { ...made, blocks: { ...blocks, prompts: most - 1 } }, config).prompts).toHaveLength(
      most - 1,
    );
    expect(probeConfig(config)).toMatchObject({ nLayers: 2, layerTypes: config.layerTypes.slice(0, 2) });
    expect(small.saes.map(({ layer }) => layer)).toEqual([0, 0, 0, 1, 1, 1]);
    const computed = small.stages.filter(({ shards }) => shards.length > 0);
    expect(computed.map(({ task }) => task.kind)).toEqual(KINDS);
    expect(computed.map(({ shards }) => shards.length)).toEqual(KINDS.map(() => 1));
    expect(computed.flatMap(({ task }) => truthTask(task)?.nodes ?? [])).toEqual(["error"]);
  });

  it("patches nothing before the first token that differs", async () => {
    const { plan: made } = await plan(WITH_SAES);
    const { prompts, sweep } = probePlan(experiments, made, config);
    const differing = prompts.map(({ clean, corrupted }) => clean.findIndex((id, t) => id !== corrupted?.[t]));
    expect(Math.min(...differing)).toBeGreaterThan(0);
    expect(Math.min(...(nodeListOf(sweep)?.positions as number[]))).toBe(Math.min(...differing));
  });

  it.each([
    ["with SAEs", WITH_SAES],
    ["without", WITHOUT],
  ])(
    "says of every program what it takes for the work that is counted, %s, and leaves no tensors behind",
    async (_, text) => {
      await expect(async () => {
        const corrections = await probed(text, 1);
        expect(Object.keys(corrections)).toEqual(expect.arrayContaining(["scores", "truth", "circuits"]));
        for (const kind of Object.keys(corrections)) expect(KINDS).toContain(kind);
        for (const { products, rest } of Object.values(corrections)) {
          expect(products).toBeGreaterThan(0);
          expect(rest).toBeGreaterThan(0);
        }
      }).toLeakNoTensors();
    },
  );

  it("sets the rates of the stages of its program, in products and outside; others take the mean of all programs", async () => {
    const run = countWork(experiments, (await plan(WITH_SAES)).plan, config, 1);
    const corrections = { scores: { products: 2, rest: 3 }, truth: { products: 4, rest: 1 } };
    const { stages, gemm_gflops: gflops } = predict(run, { corrections, baseBytes: 1 }, 1, 1);
    for (const { id, kind, work } of run.stages) {
      const { products, traffic, calls } = usualSeconds(work);
      const [times, other] = kind === "scores" ? [2, 3] : kind === "truth" ? [4, 1] : [3, 2];
      const stage = must(stages[id], "stage");
      expect(stage.seconds_by_part.products).toBeCloseTo(times * products, 12);
      expect(stage.seconds).toBeCloseTo(times * products + other * (traffic + calls), 12);
    }
    expect(gflops).toBeGreaterThan(100 / 4);
    expect(gflops).toBeLessThan(100 / 2);
  });
});
