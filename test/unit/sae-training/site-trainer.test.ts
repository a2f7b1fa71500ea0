/** @file One site's SAE on a synthetic sparse dictionary: the L0 target, resuming, and figures on rows it has not seen. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { createMeasure } from "../../../src/sae-training/held-out-figures.js";
import { measureSae } from "../../../tools/tiny-world/sae-figures.js";
import { resumeSite, startSite, type SiteState, type SiteTraining } from "../../../src/sae-training/site-trainer.js";
import { startBackend } from "../../../src/backends/start-backend.js";

beforeAll(() => startBackend("wasm"));

const [D, CAUSES] = [16, 24];
const at = { site: "mlp_out", layer: 0 } as const;

/** Rows that are sums of three of 24 random directions, around a common offset, all of them large. */
function sparseRows(count: number, label: string): Float32Array {
  const language = createRng(11, "directions");
  const directions = Array.from({ length: CAUSES * D }, () => language.normal());
  const rng = createRng(11, label);
  const values = new Float32Array(count * D).fill(300);
  for (let row = 0; row < count; row++)
    for (let cause = 0; cause < 3; cause++) {
      const [from, size] = [rng.int(CAUSES) * D, 100 * (1 + rng.uniform())];
      for (let d = 0; d < D; d++) values[row * D + d] = (values[row * D + d] ?? 0) + size * (directions[from + d] ?? 0);
    }
  return values;
}

const [STEPS, BATCH] = [500, 128];
const training: SiteTraining = {
  seed: 0,
  dSae: 64,
  targetL0: 6,
  steps: STEPS,
  warmUpSteps: 20,
  peakLearningRate: 3e-3,
  sparsity: 1e-3,
  steering: 0.03,
  deadPull: 1e-2,
  bandwidth: 0.1,
  initialThreshold: 0.01,
};

const rows = sparseRows(8000, "training");
const batch = (step: number): tf.Tensor => {
  const from = (step * BATCH) % 7800;
  return tf.tensor2d(rows.subarray(from * D, (from + BATCH) * D), [BATCH, D]);
};
function runSteps(trainer: ReturnType<typeof startSite>, from: number, to: number): void {
  for (let step = from; step < to; step++) {
    const x_RD = batch(step);
    trainer.step(x_RD, step);
    x_RD.dispose();
  }
}

describe("the SAE of a site", () => {
  it.each([4, 8])("comes to fire %i features per row when steered for that, on rows it has not seen", (targetL0) => {
    const trainer = startSite(at, D, rows, { ...training, targetL0 });
    runSteps(trainer, 0, STEPS);
    const weights = trainer.weights();
    const { l0, fvu } = measureSae(weights, { values: sparseRows(1000, "figures"), dIn: D });
    expect(Math.abs(l0 / targetL0 - 1)).toBeLessThan(0.25);
    expect(fvu).toBeLessThan(0.35);
    trainer.dispose();
  });

  it("goes on from its state with the same bits", () => {
    const whole = startSite(at, D, rows, training);
    runSteps(whole, 0, 40);
    const first = startSite(at, D, rows, training);
    runSteps(first, 0, 25);
    const { arrays, numbers } = first.state();
    const copy: SiteState = {
      arrays: new Map([...arrays].map(([name, tensor]) => [name, tf.tensor(tensor.dataSync(), tensor.shape)])),
      numbers: JSON.parse(JSON.stringify(numbers)) as SiteState["numbers"],
    };
    first.dispose();
    const second = resumeSite(at, D, copy, training);
    runSteps(second, 25, 40);
    expect(second.weights()).toEqual(whole.weights());
    expect(second.state().numbers).toEqual(whole.state().numbers);
    for (const trainer of [whole, second]) trainer.dispose();
  });

  it("gives the figures of the rows since they were last asked for", () => {
    const trainer = startSite(at, D, rows, training);
    runSteps(trainer, 0, 5);
    const early = trainer.takeFigures();
    runSteps(trainer, 5, 200);
    trainer.takeFigures();
    runSteps(trainer, 200, 205);
    const late = trainer.takeFigures();
    expect(early.fvu).toBeGreaterThan(late.fvu);
    expect(early.l0).toBeGreaterThan(late.l0);
    expect(late.loss).toBeGreaterThan(late.fvu);
    trainer.dispose();
  });

  it("stops at a loss that is not finite, naming the site", () => {
    const trainer = startSite(at, D, rows, training);
    const x_RD = tf.fill([4, D], Number.NaN);
    expect(() => {
      trainer.step(x_RD, 3);
    }).toThrow(/blocks\.0\.hook_mlp_out: the loss is not finite at step 3/);
    trainer.dispose();
  });

  it("leaves no tensor behind", async () => {
    await expect(() => {
      const trainer = startSite(at, D, rows, training);
      runSteps(trainer, 0, 3);
      trainer.weights();
      trainer.dispose();
    }).toLeakNoTensors();
  });
});

describe("held-out figures", () => {
  it("are those of all rows at once, however the rows arrive", () => {
    const trainer = startSite(at, D, rows, training);
    runSteps(trainer, 0, 60);
    const weights = trainer.weights();
    const values = sparseRows(3000, "figures");
    const measure = createMeasure(weights);
    for (const [from, to] of [
      [0, 700],
      [700, 2900],
      [2900, 3000],
    ] as const)
      // prettier-ignore
      measure.add(values.subarray(from * D, to * D));
    const { rows: count, medianFvu, ...figures } = measure.figures();
    const { fvu, ...expected } = measureSae(weights, { values, dIn: D });
    expect(count).toBe(3000);
    expect(figures).toMatchObject(expected);
    expect(figures.fvu).toBeCloseTo(fvu, 5);
    expect(medianFvu).toBeGreaterThan(fvu / 4);
    expect(medianFvu).toBeLessThan(4 * fvu);
    for (const each of [measure, trainer]) each.dispose();
  });

  it("hold still in the median when one row is huge", () => {
    const trainer = startSite(at, D, rows, training);
    runSteps(trainer, 0, 60);
    const values = sparseRows(2000, "figures");
    const huge = values.slice();
    huge.fill(1e6, 1500 * D, 1501 * D);
    const figures = (of: Float32Array) => {
      const measure = createMeasure(trainer.weights());
      measure.add(of);
      const found = measure.figures();
      measure.dispose();
      return found;
    };
    const [without, with_] = [figures(values), figures(huge)];
    expect(with_.medianFvu / without.medianFvu).toBeCloseTo(1, 1);
    expect(Math.abs(Math.log(with_.fvu / without.fvu))).toBeGreaterThan(1);
    trainer.dispose();
  });
});
