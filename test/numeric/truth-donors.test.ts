/** @file True patching with means and zero in the place of the corrupted run: against the reference, whole forward passes, and its own artifacts. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Means } from "../../src/artifacts/means-file.js";
import { type ParquetRow, readParquet } from "../../src/artifacts/parquet.js";
import { must } from "../../src/base/assert.js";
import { createRng } from "../../src/base/rng.js";
import { computeMeans } from "../../src/experiments/means/means.js";
import type { TruthResult } from "../../src/experiments/truth/payload.js";
import { computeTruth } from "../../src/experiments/truth/truth.js";
import type { DonorValues } from "../../src/experiments/truth/truth-donor.js";
import { GLOBAL_POSITION, type Node, nodeAt, nodeHook, type NodePosition } from "../../src/nodes/node.js";
import type { Prompt } from "../../src/nodes/prompt.js";
import { siteHook } from "../../src/nodes/site.js";
import { openSpliced, type SplicedModel } from "../../src/passes/spliced-model.js";
import { runPaths } from "../../src/run/run-folder.js";
import type { FitArrays } from "../../src/sae/error-fit.js";
import { openCheckpoint } from "../../src/weights/checkpoint.js";
import { findSaes } from "../../src/weights/sae-folder.js";
import { encode, errorOf } from "../../src/sae/sae.js";
import { goldenArrays, goldenPrompts, goldenSpliced, TINY_A } from "./golden.js";
import { nodesOfEveryKind } from "./every-kind.js";
import { GOLDEN_LENGTH as T, GOLDEN_SITES, GOLDEN_WIDTH as F } from "./golden-sites.js";
import { naiveMetric, naiveSites } from "./naive-forward.js";
import { runPipeline } from "./pipeline.js";
import { withRandomFits } from "./random-fits.js";
import { expectSameInAnyBlock } from "./test-backend.js";

const pairs = goldenPrompts("pairs");
const prompts = pairs.slice(0, 4);
const plain = prompts.map((prompt): Prompt => ({ ...prompt, corrupted: null }));
const HEADS = 4;
const ZERO: DonorValues = { kind: "zero" };

let golden: SplicedModel;
let spliced: SplicedModel;
let fits: ReadonlyMap<string, FitArrays>;
let mean: DonorValues;
beforeAll(async () => {
  golden = await goldenSpliced();
  ({ spliced, fits } = await withRandomFits(golden, 0.05));
  const sums = await computeMeans(spliced, prompts, "max", { neurons: true, sites: true });
  const divided = (sum: Float64Array): Float32Array => Float32Array.from(sum, (one) => one / (2 * prompts.length));
  const features = new Map(
    [...sums.features].map(([hook, { index, sum }]) => {
      const means = new Float32Array(T * F);
      index.forEach((at, i) => (means[at] = must(sum[i], "sum") / (2 * prompts.length)));
      return [hook, means];
    }),
  );
  const each = (of: ReadonlyMap<string, Float64Array>): Map<string, Float32Array> =>
    new Map([...of].map(([hook, sum]) => [hook, divided(sum)]));
  mean = { kind: "mean", means: { features, errors: each(sums.errors), sites: each(sums.sites) } };
});
afterAll(() => {
  spliced.dispose();
});

/** A node of each kind at each site and each of the positions. */
const everyKind = (at: readonly NodePosition[]): Node[] => nodesOfEveryKind(at, { features: 3, neurons: 1 });

const ALL_POSITIONS: readonly NodePosition[] = [...Array.from({ length: T }, (_, t) => t), GLOBAL_POSITION];

/** What a node contributes to its site's activation `x`. */
function contribution(node: Node, x_TD: tf.Tensor): tf.Tensor {
  const width = must(x_TD.shape[1], "width");
  const columns = (isIn: (column: number) => boolean): tf.Tensor =>
    tf.mul(x_TD, tf.tensor2d(Float32Array.from({ length: width }, (_, i) => (isIn(i) ? 1 : 0)), [1, width])); // prettier-ignore
  if (node.kind === "site") return tf.clone(x_TD);
  if (node.kind === "neuron") return columns((i) => i === node.neuron);
  if (node.kind === "head") return columns((i) => Math.floor(i / (width / HEADS)) === node.head);
  const sae = must(spliced.sae(node), "SAE");
  const f_TF = encode(sae, x_TD);
  if (node.kind === "feature")
    return tf.matMul(tf.slice(f_TF, [0, node.feature], [-1, 1]), tf.slice(sae.W_dec_FD, [node.feature, 0], [1, -1]));
  const error_TD = errorOf(sae, x_TD, f_TF);
  if (node.kind === "error") return error_TD;
  const { A, b } = must(fits.get(siteHook(node)), "fit");
  const linear_TD = tf.add(tf.matMul(x_TD, tf.tensor2d(A, [b.length, b.length]), false, true), tf.tensor1d(b));
  return node.kind === "error_linear" ? linear_TD : tf.sub(error_TD, linear_TD);
}

/** Every site of every prompt and side, by `site.layer`. */
async function allSites(): Promise<Map<string, tf.Tensor[]>> {
  const sites = new Map<string, tf.Tensor[]>();
  for (const prompt of prompts)
    for (const side of ["clean", "corrupted"] as const)
      for (const [key, x_TD] of await naiveSites(spliced.model, prompt, side))
        sites.set(key, [...(sites.get(key) ?? []), x_TD]);
  return sites;
}

/** The metric of prompt `p` with one node set to its mean or to zero, by a whole forward pass. */
async function naivePatched(p: number, node: Node, toMean: boolean, sites: Map<string, tf.Tensor[]>): Promise<number> {
  const all = must(sites.get(`${node.site}.${String(node.layer)}`), "site");
  return await naiveMetric(spliced.model, must(prompts[p], "prompt"), "clean", "max", ({ site, layer }, live_TD) => {
    if (site !== node.site || layer !== node.layer) return live_TD;
    const own_TD = contribution(node, must(all[2 * p], "clean activation"));
    const mean_TD = tf.div(tf.addN(all.map((x_TD) => contribution(node, x_TD))), all.length);
    const mask = Float32Array.from({ length: T }, (_, t) =>
      node.position === GLOBAL_POSITION || node.position === t ? 1 : 0,
    );
    return tf.add(live_TD, tf.mul(tf.sub(toMean ? mean_TD : 0, own_TD), tf.tensor2d(mask, [T, 1])));
  });
}

/** Effects of one slot by prompt. */
function effects({ metricPatched, metricClean }: TruthResult, slot: number): number[] {
  const S = metricPatched.length / metricClean.length;
  return Array.from(metricClean, (clean, p) => must(metricPatched[p * S + slot], "metric") - clean);
}

describe("true patching with another donor", () => {
  it("agrees with the reference for every error node, set to zero and to its mean", async () => {
    const [expected, means] = [await goldenArrays("extra/donors"), await goldenArrays("means")];
    const errors = GOLDEN_SITES.map((at): [string, Float32Array] => [
      siteHook(at),
      Float32Array.from(means.get(nodeHook(at, "error"))),
    ]);
    const goldenMeans: Means = { features: new Map(), errors: new Map(errors), sites: new Map() };
    const nodes = GOLDEN_SITES.flatMap((at) =>
      Array.from({ length: T }, (_, position) => nodeAt("error", { ...at, position }, 0)),
    );
    for (const donor of [ZERO, { kind: "mean", means: goldenMeans } as const]) {
      const result = await computeTruth(golden, pairs.slice(0, 12), "max", nodes, 64, { donor });
      GOLDEN_SITES.forEach((at, s) => {
        const hook = `${nodeHook(at, "error")}.${donor.kind}`;
        const byPosition = Array.from({ length: T }, (_, t) => effects(result, s * T + t));
        const actual = Array.from({ length: 12 }, (_, p) => byPosition.map((effect) => must(effect[p], "effect")));
        expect(actual.flat(), hook).toBeAllclose(expected.get(hook), { rtol: 0, atol: 5e-5 });
      });
    }
  });

  it.each(["mean", "zero"] as const)(
    "gives what a whole forward pass with the node's %s gives, for every kind",
    async (kind) => {
      const donor = kind === "mean" ? mean : ZERO;
      const sites = await allSites();
      const nodes = createRng(3, "nodes").shuffle(everyKind(ALL_POSITIONS)).slice(0, 90);
      expect(new Set(nodes.map((node) => node.kind)).size).toBe(7);
      const { metricPatched } = await computeTruth(spliced, prompts, "max", nodes, 50, { donor });
      for (const [slot, node] of nodes.entries()) {
        const p = slot % prompts.length;
        const actual = must(metricPatched[p * nodes.length + slot], "metric");
        const expected = await naivePatched(p, node, kind === "mean", sites);
        expect([actual], `${node.kind} of ${siteHook(node)} at ${String(node.position)}`).toBeAllclose([expected], { rtol: 0, atol: 2e-5 }); // prettier-ignore
      }
      tf.dispose([...sites.values()].flat());
    },
  );

  it("does not run a feature that does not fire, whose effect towards zero is exactly 0", async () => {
    const nodes = everyKind(ALL_POSITIONS).filter(({ kind }) => kind === "feature");
    const { ran, metricPatched, metricClean } = await computeTruth(spliced, prompts, "max", nodes, 64, { donor: ZERO });
    const idle = [...ran.keys()].filter((i) => ran[i] === 0);
    expect(idle.length).toBeGreaterThan(nodes.length);
    expect(ran).toContain(1);
    for (const i of idle) expect(metricPatched[i]).toBe(metricClean[Math.floor(i / nodes.length)]);
  });

  it("does not depend on the block, nor on corrupted prompts: on wasm the same bits", async () => {
    const nodes = everyKind(ALL_POSITIONS).filter((_, slot) => slot % 3 === 0);
    for (const donor of [mean, ZERO]) {
      const whole = await computeTruth(spliced, prompts, "max", nodes, 100_000, { donor });
      for (const rowsPerBlock of [1, 64]) {
        const blocks = await computeTruth(spliced, prompts, "max", nodes, rowsPerBlock, { donor });
        expectSameInAnyBlock(blocks.metricPatched, whole.metricPatched);
      }
      const alone = await computeTruth(spliced, plain, "max", nodes, 64, { donor });
      expectSameInAnyBlock(alone.metricPatched, whole.metricPatched);
      expect(alone.metricCorrupted.every(Number.isNaN)).toBe(true);
      expect(whole.metricCorrupted.some(Number.isNaN)).toBe(false);
    }
  });

  it("runs the whole residual stream at all positions, which leaves one activation for every prompt", async () => {
    const node: Node = { kind: "site", site: "resid_post", layer: 1, position: GLOBAL_POSITION };
    for (const donor of [mean, ZERO]) {
      const { ran, metricPatched } = await computeTruth(spliced, prompts, "max", [node], 4, { donor });
      expect([...ran]).toEqual(prompts.map(() => 1));
      const answers = prompts.map(({ correct, incorrect }) => [correct, ...incorrect].join());
      for (const [p, metric] of metricPatched.entries()) {
        const other = answers.indexOf(must(answers[p], "answers"));
        expect(metric).toBeCloseTo(must(metricPatched[other], "metric"), 5);
      }
    }
  });

  it("leaks no tensors", async () => {
    for (const donor of [mean, ZERO])
      await expect(() => computeTruth(spliced, plain, "max", everyKind([2, 6, GLOBAL_POSITION]), 64, { donor })).toLeakNoTensors(); // prettier-ignore
  });
});

interface Ran {
  readonly truth: ParquetRow[];
  readonly validation: {
    readonly donor: string;
    readonly metadata: { readonly direction: string };
    readonly groups: { score: string; score_donor: string; position: number | null; layer: number | null; kind: string; weighted: { pearson: { value: number } } }[]; // prettier-ignore
  };
}

async function ranSweep(text: string, base = TINY_A, model = golden): Promise<Ran> {
  const { folder } = await runPipeline(text, base, model);
  const { artifact } = runPaths(folder);
  const { rows } = await readParquet(artifact("truth.parquet"));
  return {
    truth: rows,
    validation: JSON.parse(readFileSync(artifact("validation.json"), "utf8")) as Ran["validation"],
  };
}

const sweep = (fields: string, data = "pairs"): string =>
  `name: donors\nmodel: { path: model }\nsaes: { path: saes }\ndataset: { path: data/${data}.jsonl, limit: 12 }\n${fields}\n`;
const BOTH = "scores: [{ name: atp, method: atp }, { name: zero, method: zero }]";

describe("a run whose truth has another donor", () => {
  it("says so in its tables, and which scores estimate the effect", async () => {
    const { truth, validation } = await ranSweep(
      sweep(`${BOTH}\ntruth: { donor: zero, errors: {}, features: { top: 3, random: 3, by: zero } }`),
    );
    expect(new Set(truth.map((row) => row["donor"]))).toEqual(new Set(["zero"]));
    expect(validation.donor).toBe("zero");
    expect(validation.metadata.direction).toBe("base = clean prompt, donor = 0");
    const donors = new Map(validation.groups.map(({ score, score_donor }) => [score, score_donor]));
    expect([...donors]).toEqual([
      ["atp", "corrupted"],
      ["zero", "zero"],
    ]);
    // BOS is the same on both sides of every pair, and only another donor can change anything there.
    expect(validation.groups.some(({ position }) => position === 0)).toBe(true);
    const atBos = truth.filter((row) => row["position"] === 0 && row["kind"] === "error");
    expect(atBos.some((row) => Math.abs(Number(row["effect"])) > 1e-3)).toBe(true);
    const features = truth.filter((row) => row["kind"] === "feature");
    for (const row of features) if (row["ran"] === false) expect(row["effect"]).toBe(0);
    // Of strong nodes that zero scores rank, most are active: the effect is there.
    expect(features.filter((row) => row["effect"] !== 0).length).toBeGreaterThan(features.length / 4);
  });

  it("has the reference's effects of nodes set to the means of the run, and needs no pairs", async () => {
    const expected = await goldenArrays("extra/donors");
    const whole = await ranSweep(
      sweep("scores: []\nmeans: true\ntruth: { donor: mean, errors: {}, nodes: [{ kind: [site, head, neuron], at: -1, layers: 1 }] }").replace(", limit: 12", ""), // prettier-ignore
    );
    for (const row of whole.truth) {
      if (row["kind"] !== "error" || Number(row["prompt"]) >= 12) continue;
      const reference = must(expected.get(`${String(row["hook"])}.mean`)[Number(row["prompt"]) * T + Number(row["position"])], "effect"); // prettier-ignore
      expect(Math.abs(Number(row["effect"]) - reference)).toBeLessThan(5e-5);
    }
    expect(new Set(whole.truth.map((row) => row["kind"]))).toEqual(new Set(["error", "site", "head", "neuron"]));
    const alone = await ranSweep(
      sweep("scores: [{ name: zero, method: zero }]\ntruth: { donor: mean, errors: {}, features: { top: 2, random: 2, by: zero } }", "plain"), // prettier-ignore
    );
    expect(alone.truth.every((row) => Number.isNaN(row["metric_corrupted"]) && Number.isFinite(row["effect"]))).toBe(
      true,
    );
    expect(alone.truth.some((row) => row["effect"] !== 0)).toBe(true);
  });

  it("is refused where a score could estimate the effect, and none of the sweep's does", async () => {
    const refused = async (fields: string, data?: string): Promise<string> => {
      try {
        await runPipeline(sweep(fields, data), TINY_A, golden);
      } catch (error) {
        return String(error);
      }
      return "not refused";
    };
    expect(await refused("truth: { donor: zero, errors: {} }")).toMatch(/setting a node to zero.*\(atp\).*method zero/);
    expect(await refused("scores: [{ name: z, method: zero }]\ntruth: { errors: {} }")).toMatch(/corrupted prompt.*\(z\).*method atp, ig, relp/); // prettier-ignore
    expect(await refused("scores: [{ name: z, method: zero }]\ntruth: { errors: {} }", "plain")).toMatch(/no corrupted prompts.*`donor` to zero or mean/); // prettier-ignore
    expect(await refused(`${BOTH}\ntruth: { donor: median }`)).toMatch(/corrupted.*mean.*zero/);
  });
});

describe("zero-ablation scores of the demo model", () => {
  const data = resolve("data");
  const demo = (donor: string): string =>
    `name: demo-zero
model: { path: tiny-gemma2 }
saes: { path: tiny-gemma2/saes }
dataset: { path: agreement/rc.test.jsonl, limit: 16 }
${BOTH}
truth: { donor: ${donor}, positions: [2, -1], features: { top: 12, random: 12, by: zero } }
`;

  it("agree with zero-ablation truth where scores of the corrupted donor do not, and the other way round", async () => {
    const checkpoint = await openCheckpoint(`${data}/tiny-gemma2`);
    const model = await openSpliced(checkpoint, await findSaes(`${data}/tiny-gemma2/saes`, checkpoint.config, {}));
    const pearson = async (donor: string): Promise<Record<string, number>> => {
      const { validation } = await ranSweep(demo(donor), data, model);
      const whole = validation.groups.filter(({ position, layer }) => position === null && layer === null);
      expect(whole.length).toBeGreaterThan(4);
      const lowest = (score: string): number => Math.min(...whole.filter((group) => group.score === score).map(({ weighted }) => weighted.pearson.value)); // prettier-ignore
      return { atp: lowest("atp"), zero: lowest("zero") };
    };
    const [towardsZero, towardsCorrupted] = [await pearson("zero"), await pearson("corrupted")];
    expect(towardsZero["zero"]).toBeGreaterThan(0.9);
    expect(towardsCorrupted["atp"]).toBeGreaterThan(0.9);
    expect(towardsZero["atp"]).toBeLessThan(0.7);
    expect(towardsCorrupted["zero"]).toBeLessThan(0.7);
    model.dispose();
    await checkpoint.close();
  });
});
