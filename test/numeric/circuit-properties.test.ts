import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { createRng, type Rng } from "../../src/base/rng.js";
import { ABLATED, LIVE, RESTORED, type Intervention, type SiteIntervention } from "../../src/nodes/intervention.js";
import { emptyIntervention, uniformSite } from "../../src/nodes/node-states.js";
import { SIDES, type Prompt, type Side } from "../../src/nodes/prompt.js";
import { siteHook, type SiteAt } from "../../src/nodes/site.js";
import { changedModel } from "./changed-model.js";
import { captureRun } from "./capture-run.js";
import { computeCircuits, type AblationValues } from "../../src/experiments/circuits/circuits.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { loadAnswers } from "../../src/model/metric.js";
import type { FitArrays } from "../../src/sae/error-fit.js";
import { decode, encode, errorOf, type Sae } from "../../src/sae/sae.js";
import { splice } from "../../src/sae/splice.js";
import { goldenPrompts, goldenSpliced } from "./golden.js";
import { GOLDEN_LENGTH as T, GOLDEN_SITES, GOLDEN_WIDTH as F } from "./golden-sites.js";
import { countKernels } from "./kernel-counts.js";
import { naiveMetric, naiveSites } from "./naive-forward.js";
import { withRandomFits } from "./random-fits.js";
import { expectSameInAnyBlock } from "./test-backend.js";
import type { Means } from "../../src/artifacts/means-file.js";

const prompts = goldenPrompts("pairs").slice(0, 5);
const ROWS = 2 * prompts.length;
const ZERO: AblationValues = { kind: "zero" };

let spliced: SplicedModel;
let fits: ReadonlyMap<string, FitArrays>;
beforeAll(async () => {
  ({ spliced, fits } = await withRandomFits(await goldenSpliced(), 0.2));
});
afterAll(() => {
  spliced.dispose();
});

/** Random states; `weights` of live, ablated, restored. Some sites and positions are left alone. */
function randomIntervention(rng: Rng, weights: readonly [number, number, number], length = T): Intervention {
  const intervention = new Map<string, SiteIntervention>();
  for (const at of GOLDEN_SITES) {
    if (rng.uniform() < 0.2) continue;
    const pick = (): number => {
      const u = rng.uniform() * (weights[0] + weights[1] + weights[2]);
      return u < weights[0] ? LIVE : u < weights[0] + weights[1] ? ABLATED : RESTORED;
    };
    const features = Uint8Array.from({ length: length * F }, pick);
    const errors = Uint8Array.from({ length }, pick);
    const untouched = rng.int(length);
    features.fill(LIVE, untouched * F, (untouched + 1) * F);
    errors[untouched] = LIVE;
    intervention.set(siteHook(at), { features, errors, slices: new Uint8Array(0) });
  }
  return intervention;
}

/** The same with parts of errors in the place of whole ones. */
function withParts(rng: Rng, intervention: Intervention): Intervention {
  const states = (): Uint8Array =>
    Uint8Array.from({ length: T }, () => must([LIVE, ABLATED, RESTORED][rng.int(3)], "state"));
  return new Map(
    Array.from(intervention, ([hook, site]) => [
      hook,
      { ...site, errors: new Uint8Array(T), linear: states(), nonlinear: states() },
    ]),
  );
}

/** The same with everything live in the layers before one, and at the positions before one. */
function changedFrom(intervention: Intervention, layer: number, position: number): Intervention {
  const late = GOLDEN_SITES.filter((at) => at.layer >= layer).map(siteHook);
  const from = (states: Uint8Array, first: number): Uint8Array => states.map((state, i) => (i < first ? LIVE : state));
  return new Map(
    [...intervention].flatMap(([hook, { features, errors, ...rest }]) =>
      late.includes(hook)
        ? [[hook, { ...rest, features: from(features, position * F), errors: from(errors, position) }]]
        : [],
    ),
  );
}

/** The same with all nodes of a resid_post in the middle ablated. */
function withResidAblated(intervention: Intervention): Intervention {
  const at = must(
    GOLDEN_SITES.find(({ site, layer }) => site === "resid_post" && layer === 1),
    "site",
  );
  return new Map([...intervention, [siteHook(at), uniformSite(at, T, ABLATED)]]);
}

/** Arrays as means are: of the right size for every site, and longer than the prompts. */
function someMeans(rng: Rng): Means {
  const array = (size: number): Float32Array => Float32Array.from({ length: size }, () => 0.3 * rng.normal());
  const widths = new Map(spliced.saes.map(({ site, layer, sae }) => [siteHook({ site, layer }), sae.now().dIn]));
  return {
    features: new Map(Array.from(widths.keys(), (hook) => [hook, array((T + 3) * F).map(Math.abs)])),
    errors: new Map(Array.from(widths, ([hook, D]) => [hook, array((T + 3) * D)])),
    sites: new Map(),
  };
}

/** Values by node state: `LIVE`, `ABLATED`, `RESTORED`. */
type Choice = readonly [tf.Tensor, tf.Tensor, tf.Tensor];

function choose(states: Uint8Array, shape: [number, number], [live, ablated, restored]: Choice): tf.Tensor {
  const mask = (state: number): tf.Tensor =>
    tf.tensor2d(
      Float32Array.from(states, (one) => (one === state ? 1 : 0)),
      shape,
    );
  return tf.addN([tf.mul(mask(LIVE), live), tf.mul(mask(ABLATED), ablated), tf.mul(mask(RESTORED), restored)]);
}

/** What an SAE makes of an activation: features, error, and the error's linear part. */
interface Coded {
  readonly f: tf.Tensor;
  readonly e: tf.Tensor;
  readonly linear: tf.Tensor;
}

function coded(at: SiteAt, sae: Sae, x_TD: tf.Tensor): Coded {
  const f = encode(sae, x_TD);
  return { f, e: errorOf(sae, x_TD, f), linear: linearOf(at, x_TD) };
}

function linearOf(at: SiteAt, x_TD: tf.Tensor): tf.Tensor {
  const { A, b } = must(fits.get(siteHook(at)), "fit");
  return tf.add(tf.matMul(x_TD, tf.tensor2d(A, [b.length, b.length]), false, true), tf.tensor1d(b));
}

/** What the error becomes: as a whole, or part by part. */
function changedError(
  states: SiteIntervention,
  D: number,
  [live, gone, back]: readonly [Coded, Coded, Coded],
): tf.Tensor {
  const widened = (of: Uint8Array): Uint8Array =>
    Uint8Array.from({ length: T * D }, (_, i) => must(of[Math.floor(i / D)], "state"));
  const { errors, linear, nonlinear } = states;
  if (linear === undefined || nonlinear === undefined) return choose(widened(errors), [T, D], [live.e, gone.e, back.e]);
  const rest = [live, gone, back].map((one) => tf.sub(one.e, one.linear)) as [tf.Tensor, tf.Tensor, tf.Tensor];
  return tf.add(
    choose(widened(linear), [T, D], [live.linear, gone.linear, back.linear]),
    choose(widened(nonlinear), [T, D], rest),
  );
}

/** One row by the definition: a whole forward pass with `x' = x + (f' - f) W_dec + (e' - e)` at every site. */
async function naiveCircuit(
  intervention: Intervention,
  values: AblationValues,
  index: number,
  side: Side,
): Promise<number> {
  const prompt = must(prompts[index], "prompt");
  const own = await naiveSites(spliced.model, prompt, side);
  const donor =
    values.kind === "resample" ? await naiveSites(spliced.model, must(values.donors[index], "donor"), side) : own;
  const ablated = (at: SiteAt, sae: Sae): Coded => {
    const none = tf.zeros([T, sae.dIn]);
    if (values.kind === "zero") return { f: tf.zeros([T, F]), e: none, linear: none };
    if (values.kind === "resample") return coded(at, sae, must(donor.get(`${at.site}.${String(at.layer)}`), "donor"));
    if (values.kind === "counterparts") throw new Error("these prompts have no spans");
    const { features, errors } = values.means;
    const array = (map: ReadonlyMap<string, Float32Array>, D: number): tf.Tensor =>
      tf.tensor2d(must(map.get(siteHook(at)), "means").subarray(0, T * D), [T, D]);
    const [f, e] = [array(features, F), array(errors, sae.dIn)];
    return { f, e, linear: linearOf(at, tf.add(decode(sae, f), e)) };
  };
  const metric = await naiveMetric(spliced.model, prompt, side, "max", (at, x_TD) => {
    const states = intervention.get(siteHook(at));
    if (states === undefined) return x_TD;
    const sae = must(spliced.sae(at), "SAE");
    const [live, gone, back] = [
      coded(at, sae, x_TD),
      ablated(at, sae),
      coded(at, sae, must(own.get(`${at.site}.${String(at.layer)}`), "own")),
    ];
    return splice(sae, x_TD, {
      features: { live_RF: live.f, changed_RF: choose(states.features, [T, F], [live.f, gone.f, back.f]) },
      errors: { live_RD: live.e, changed_RD: changedError(states, sae.dIn, [live, gone, back]) },
    });
  });
  tf.dispose([...own.values(), ...donor.values()]);
  return metric;
}

const run = async (
  interventions: readonly Intervention[],
  values: AblationValues,
  rowsPerBlock = 1000,
): Promise<Float64Array> =>
  (await computeCircuits(spliced, prompts, { reduce: "max", interventions, ablation: values, rowsPerBlock })).metric;

/** Another pair for each pair, none its own. */
const donors: readonly Prompt[] = goldenPrompts("pairs").slice(7, 7 + prompts.length);

describe("circuit evaluation", () => {
  it.each(["mean", "zero", "resample"] as const)(
    "gives what whole forward passes with the splice's definition give (%s)",
    async (kind) => {
      const rng = createRng(3, kind);
      const values: AblationValues =
        kind === "mean" ? { kind, means: someMeans(rng) } : kind === "resample" ? { kind, donors } : { kind };
      const mixes = [
        [1, 1, 1],
        [0.95, 0.05, 0],
        [0.05, 0.95, 0],
        [0, 1, 0.1],
        [1, 0, 0.05],
        [0.6, 0.4, 0],
      ] as const;
      // Of these, the one without restored nodes comes to the same for every prompt, and is run once for all.
      const forgetting = (
        [
          [1, 1, 0],
          [1, 1, 0.2],
        ] as const
      ).map((weights) =>
        // prettier-ignore
        withResidAblated(randomIntervention(rng, weights)),
      );
      const whole = [...mixes.map((weights) => randomIntervention(rng, weights)), ...forgetting];
      const split = mixes.slice(0, 3).map((weights) => withParts(rng, randomIntervention(rng, weights)));
      const interventions = [...whole, ...split];
      const metric = await run(interventions, values, 2 * ROWS);
      const expected: number[] = [];
      for (const intervention of interventions)
        for (const side of SIDES)
          for (const index of prompts.keys()) expected.push(await naiveCircuit(intervention, values, index, side));
      // A feature on its threshold may fire in one and not in the other: such a row is allowed, once.
      const off = expected
        .map((value, row) => Math.abs(value - must(metric[row], "row")))
        .filter((difference) => difference > 5e-5);
      expect(off.length).toBeLessThanOrEqual(1);
    },
  );

  it("is the plain forward pass, bit for bit on wasm, where nothing is intervened on", async () => {
    const answers = await loadAnswers(spliced.model.embedding, prompts, "max");
    const runs = [
      await captureRun(spliced.model, prompts, "clean", answers),
      await captureRun(spliced.model, prompts, "corrupted", answers),
    ];
    const plain = runs.flatMap((one) => [...one.metric]);
    const live: Intervention = new Map(GOLDEN_SITES.map((at) => [siteHook(at), uniformSite(at, T, LIVE)]));
    const other = emptyIntervention(GOLDEN_SITES, T);
    for (const rowsPerBlock of [3, 1000]) {
      const metric = await run([new Map(), other, live], ZERO, rowsPerBlock);
      expectSameInAnyBlock(metric.subarray(0, ROWS), plain);
      expectSameInAnyBlock(metric.subarray(2 * ROWS), plain);
    }
    for (const one of runs) one.dispose();
    answers.dispose();
  });

  it("does not depend on the block: on wasm the same bits for 1, 7, 64 and all rows at once", async () => {
    const rng = createRng(5, "blocks");
    const interventions = [
      [1, 1, 0.2],
      [0.1, 1, 0],
      [1, 0.1, 0],
    ].map((weights) => randomIntervention(rng, weights as [number, number, number]));
    interventions.push(withParts(rng, randomIntervention(rng, [1, 1, 1])));
    const values: AblationValues = { kind: "resample", donors };
    const whole = await run(interventions, values, 100_000);
    for (const rowsPerBlock of [1, 7, 64]) expectSameInAnyBlock(await run(interventions, values, rowsPerBlock), whole);
  });

  it("gives every row the same logits where everything is ablated to one value", async () => {
    const metric = await run([emptyIntervention(GOLDEN_SITES, T)], { kind: "mean", means: someMeans(createRng(9)) });
    for (const index of prompts.keys()) expect(metric[index]).toBe(metric[prompts.length + index]);
  });

  it("runs once what comes to the same for every prompt, whatever is left of its block", async () => {
    const rng = createRng(17, "once");
    const interventions = [1, 0, 1, 1, 0].map((forgets) => {
      const one = randomIntervention(rng, [1, 1, 0]);
      return forgets === 1 ? withResidAblated(one) : one;
    });
    const alone: number[] = [];
    for (const one of interventions) alone.push(...(await run([one], ZERO)));
    for (const rowsPerBlock of [1, 7, ROWS, ROWS + 1, 1000])
      expectSameInAnyBlock(await run(interventions, ZERO, rowsPerBlock), alone);
  });

  it.each(["mean", "zero", "resample"] as const)(
    "runs once what lies before the first change: the bits of evaluations on their own, for less work (%s)",
    async (kind) => {
      const rng = createRng(23, "late");
      const values: AblationValues =
        kind === "mean" ? { kind, means: someMeans(rng) } : kind === "zero" ? { kind } : { kind, donors };
      const interventions = [0, 1, 2, 3].flatMap((layer) =>
        [T - 1, T - 1, T - 2].map((position) =>
          changedFrom(randomIntervention(rng, [1, 2, layer === 3 ? 1 : 0]), layer, position),
        ),
      );
      const alone: number[] = [];
      const apart = await countKernels(async () => {
        for (const one of interventions) alone.push(...(await run([one], values)));
      });
      let together: readonly number[] = [];
      const shared = await countKernels(async () => {
        together = [...(await run(interventions, values, ROWS + 3))];
      });
      expectSameInAnyBlock(Float64Array.from(together), Float64Array.from(alone));
      expect(shared.flops).toBeLessThan(0.6 * apart.flops);
    },
  );

  it.each(["mean", "zero", "resample"] as const)("of both parts of errors is that of the errors (%s)", async (kind) => {
    const rng = createRng(19, kind);
    const values: AblationValues =
      kind === "mean" ? { kind, means: someMeans(rng) } : kind === "resample" ? { kind, donors } : { kind };
    const errors = (): SiteIntervention["errors"] => Uint8Array.from({ length: T }, () => rng.int(3));
    const sites = GOLDEN_SITES.map((at) => ({ hook: siteHook(at), states: errors(), live: uniformSite(at, T, LIVE) }));
    const whole: Intervention = new Map(sites.map(({ hook, states, live }) => [hook, { ...live, errors: states }]));
    const parts: Intervention = new Map(
      sites.map(({ hook, states, live }) => [hook, { ...live, linear: states, nonlinear: states }]),
    );
    const [one, both] = [await run([whole], values), await run([parts], values)];
    expect(both).toBeAllclose(one, { rtol: 0, atol: 5e-5 });
    expect(one).not.toEqual(await run([new Map()], ZERO));
  });

  it("stays the full model where everything is restored, or resampled from itself", async () => {
    const restored: Intervention = new Map(GOLDEN_SITES.map((at) => [siteHook(at), uniformSite(at, T, RESTORED)]));
    const full = await run([new Map()], ZERO);
    expect(await run([restored], ZERO)).toBeAllclose(full);
    expect(await run([emptyIntervention(GOLDEN_SITES, T)], { kind: "resample", donors: prompts })).toBeAllclose(full);
  });

  it("resamples clean rows from the donor's clean run and corrupted rows from its corrupted run", async () => {
    const aligned = prompts.map((prompt, i) => ({
      ...must(donors[i], "donor"),
      correct: prompt.correct,
      incorrect: prompt.incorrect,
    }));
    const expected = await computeCircuits(spliced, aligned, {
      reduce: "max",
      interventions: [new Map()],
      ablation: ZERO,
      rowsPerBlock: 1000,
    });
    const metric = await run([emptyIntervention(GOLDEN_SITES, T)], { kind: "resample", donors });
    expect(metric).toBeAllclose(expected.metric);
  });

  it("evaluates clean prompts alone where there are no corrupted ones", async () => {
    const plain = prompts.map((prompt) => ({ ...prompt, corrupted: null }));
    const intervention = randomIntervention(createRng(11), [1, 1, 0.3]);
    const { metric } = await computeCircuits(spliced, plain, {
      reduce: "max",
      interventions: [intervention],
      ablation: ZERO,
      rowsPerBlock: 1000,
    });
    expectSameInAnyBlock(metric, (await run([intervention], ZERO)).subarray(0, prompts.length));
  });

  it("names the evaluation, the side and the prompt where a metric is not finite", async () => {
    const hurt = must(spliced.saes[3], "SAE");
    const b_dec_D = tf.fill([hurt.sae.now().dIn], Number.NaN);
    const broken = await changedModel(spliced, {
      sae: (sae, { site, layer }) => (site === hurt.site && layer === hurt.layer ? { ...sae, b_dec_D } : sae),
    });
    const action = computeCircuits(broken, prompts, {
      reduce: "max",
      interventions: [new Map(), emptyIntervention(GOLDEN_SITES.slice(3, 4), T)],
      ablation: ZERO,
      rowsPerBlock: 1000,
    });
    await expect(action).rejects.toThrow(/evaluation 1 of the clean run.*line 1\./);
    b_dec_D.dispose();
  });

  it("leaks no tensors, also when it throws", async () => {
    const intervention = randomIntervention(createRng(13), [1, 1, 1]);
    await expect(() => run([intervention, new Map()], { kind: "resample", donors }, 7)).toLeakNoTensors();
    const short: Intervention = new Map([
      [siteHook({ site: "mlp_out", layer: 1 }), uniformSite({ site: "mlp_out", layer: 1, dSae: F }, 1, LIVE)],
    ]);
    await expect(() => run([short], ZERO).catch(() => null)).toLeakNoTensors();
  });
});
