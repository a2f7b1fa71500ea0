import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { createRng } from "../../src/base/rng.js";
import { GLOBAL_POSITION, type Node, type NodePosition } from "../../src/nodes/node.js";
import { siteHook, type Site } from "../../src/nodes/site.js";
import type { Prompt } from "../../src/nodes/prompt.js";
import { changedModel } from "./changed-model.js";
import { computeScores } from "./score-by-name.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { computeTruth } from "../../src/experiments/truth/truth.js";
import { runTruthBlock, type TruthContext } from "../../src/experiments/truth/truth-block.js";
import { computeDeltas, type Deltas } from "../../src/experiments/truth/truth-deltas.js";
import { truthBlocks, truthRows } from "../../src/experiments/truth/truth-rows.js";
import { createRunCache, unpatchedRuns } from "../../src/experiments/truth/unpatched-runs.js";
import { metricOf } from "../../src/model/metric.js";
import { readAndDispose } from "../../src/model/read-tensor.js";
import { withScope } from "../../src/model/tensor-scope.js";
import type { FitArrays } from "../../src/sae/error-fit.js";
import { encode, errorOf } from "../../src/sae/sae.js";
import { goldenPrompts, goldenSpliced } from "./golden.js";
import { nodesOfEveryKind } from "./every-kind.js";
import { GOLDEN_LENGTH as T, GOLDEN_WIDTH as F } from "./golden-sites.js";
import { naiveMetric, naiveSites } from "./naive-forward.js";
import { withRandomFits } from "./random-fits.js";
import { expectSameInAnyBlock } from "./test-backend.js";

const prompts = goldenPrompts("pairs").slice(0, 6);
const HEADS = 4;
const NEURONS = 96;
const LAST = 3;

let spliced: SplicedModel;
let fits: ReadonlyMap<string, FitArrays>;
beforeAll(async () => {
  ({ spliced, fits } = await withRandomFits(await goldenSpliced(), 0.05));
});
afterAll(() => {
  spliced.dispose();
});

/** A node of each kind at each site and each of the positions. */
const everyKind = (at: readonly NodePosition[]): Node[] => nodesOfEveryKind(at, { features: 4, neurons: 2 });

const ALL_POSITIONS: readonly NodePosition[] = [...Array.from({ length: T }, (_, t) => t), GLOBAL_POSITION];

/** Runs rows whatever their deltas are, with deltas scaled; `[P, S]` metrics, and the clean metric. */
async function forcedTruth(
  nodes: readonly Node[],
  scale: number,
  rowsPerBlock: number,
): Promise<{ metric: Float64Array; clean: Float64Array }> {
  return await withScope(async (own) => {
    const { model } = spliced;
    const runs = own(await unpatchedRuns(model, prompts, "max"));
    const { answers, clean, keys } = runs;
    const deltas = own(await computeDeltas(spliced, runs, nodes));
    const scaled: Deltas = {
      ...deltas,
      patch: (rows) => tf.mul(deltas.patch(rows), scale),
    };
    const context: TruthContext = {
      model,
      clean,
      keys,
      deltas: scaled,
      answers,
      positions: T,
    };
    const metric = new Float64Array(prompts.length * nodes.length).fill(NaN);
    const size = { prompts: prompts.length, positions: T, nLayers: LAST + 1 };
    const rows = truthRows(nodes, size, () => true);
    for (const block of truthBlocks(rows, size, rowsPerBlock)) {
      const logits = await readAndDispose(await runTruthBlock(context, block));
      for (const [r, { prompt, slot }] of block.rows.entries())
        metric[prompt * nodes.length + slot] = metricOf(logits, r, answers, prompt);
    }
    return { metric, clean: clean.metric };
  });
}

/** The metric with one node patched, by a whole forward pass. */
async function naivePatched(prompt: Prompt, node: Node): Promise<number> {
  const [clean, corrupted] = [
    await naiveSites(spliced.model, prompt, "clean"),
    await naiveSites(spliced.model, prompt, "corrupted"),
  ];
  const key = `${node.site}.${String(node.layer)}`;
  const [x_TD, y_TD] = [must(clean.get(key), key), must(corrupted.get(key), key)];
  const metric = await naiveMetric(spliced.model, prompt, "clean", "max", ({ site, layer }, live_TD) =>
    site === node.site && layer === node.layer
      ? tf.add(live_TD, maskPositions(node, naiveDelta(node, x_TD, y_TD)))
      : live_TD,
  );
  tf.dispose([...clean.values(), ...corrupted.values()]);
  return metric;
}

function naiveDelta(node: Node, x_TD: tf.Tensor, y_TD: tf.Tensor): tf.Tensor {
  if (node.kind === "site") return tf.sub(y_TD, x_TD);
  if (node.kind === "neuron") {
    const one = Float32Array.from({ length: NEURONS }, (_, i) => (i === node.neuron ? 1 : 0));
    return tf.mul(tf.sub(y_TD, x_TD), tf.tensor2d(one, [1, NEURONS]));
  }
  if (node.kind === "head") {
    const [length = 0, Z = 0] = x_TD.shape;
    const H = Z / HEADS;
    const mask = Float32Array.from({ length: Z }, (_, i) => (Math.floor(i / H) === node.head ? 1 : 0));
    return tf.mul(tf.sub(y_TD, x_TD), tf.tile(tf.tensor2d(mask, [1, Z]), [length, 1]));
  }
  const sae = must(spliced.sae(node), "SAE");
  const [fx_TF, fy_TF] = [encode(sae, x_TD), encode(sae, y_TD)];
  const error_TD = tf.sub(errorOf(sae, y_TD, fy_TF), errorOf(sae, x_TD, fx_TF));
  if (node.kind === "error") return error_TD;
  const { A, b } = must(fits.get(siteHook(node)), "fit");
  const linear_TD = tf.matMul(tf.sub(y_TD, x_TD), tf.tensor2d(A, [b.length, b.length]), false, true);
  if (node.kind === "error_linear") return linear_TD;
  if (node.kind === "error_nonlinear") return tf.sub(error_TD, linear_TD);
  const column_T1 = tf.slice(tf.sub(fy_TF, fx_TF), [0, node.feature], [-1, 1]);
  return tf.matMul(column_T1, tf.slice(sae.W_dec_FD, [node.feature, 0], [1, -1]));
}

function maskPositions(node: Node, delta_TD: tf.Tensor): tf.Tensor {
  const length = must(delta_TD.shape[0], "positions");
  const mask = Float32Array.from({ length }, (_, t) =>
    node.position === GLOBAL_POSITION || node.position === t ? 1 : 0,
  );
  return tf.mul(delta_TD, tf.tensor2d(mask, [length, 1]));
}

describe("true patching", () => {
  it("gives what a whole forward pass with the patched site gives, for every kind of node", async () => {
    const rng = createRng(1, "nodes");
    const nodes = rng.shuffle(everyKind(ALL_POSITIONS)).slice(0, 120);
    const { metricPatched } = await computeTruth(spliced, prompts, "max", nodes, 50);
    for (const [slot, node] of nodes.entries()) {
      const p = slot % prompts.length;
      const actual = must(metricPatched[p * nodes.length + slot], "metric");
      expect([actual]).toBeAllclose([await naivePatched(must(prompts[p], "prompt"), node)], { rtol: 0, atol: 1e-5 });
    }
  });

  it("gives what a whole forward pass gives on prompts of other lengths, and nothing at positions they lack", async () => {
    const nodes = everyKind([2, 9, GLOBAL_POSITION]);
    for (const prompt of goldenPrompts("mixed").slice(0, 6)) {
      const { metricPatched, metricClean, ran } = await computeTruth(spliced, [prompt], "max", nodes, 64);
      for (const [slot, node] of nodes.entries()) {
        if (node.position === GLOBAL_POSITION || node.position < prompt.clean.length) {
          if (slot % 5 === 0)
            expect([metricPatched[slot]]).toBeAllclose([await naivePatched(prompt, node)], { rtol: 0, atol: 1e-5 });
        } else expect([metricPatched[slot], ran[slot]]).toEqual([metricClean[0], 0]);
      }
    }
  });

  it("leaves the clean metric where the delta is zero, although the row is run: on wasm its bits", async () => {
    for (const rowsPerBlock of [1, 64, 10_000]) {
      const nodes = rowsPerBlock === 1 ? everyKind([0, 4, 6]) : everyKind(ALL_POSITIONS);
      const { metric, clean } = await forcedTruth(nodes, 0, rowsPerBlock);
      const ran = [...metric.keys()].filter((i) => !Number.isNaN(metric[i]));
      expectSameInAnyBlock(
        ran.map((i) => must(metric[i], "metric")),
        ran.map((i) => must(clean[Math.floor(i / nodes.length)], "metric")),
      );
      expect(metric.some(Number.isNaN)).toBe(true); // The last layer's nodes before the answer cannot reach it.
    }
  });

  it("does not depend on the block: on wasm the same bits for 1, 7, 64 and all rows at once", async () => {
    const nodes = everyKind(ALL_POSITIONS).filter((_, slot) => slot % 3 === 0);
    const whole = await computeTruth(spliced, prompts, "max", nodes, 100_000);
    for (const rowsPerBlock of [1, 7, 64]) {
      const blocks = await computeTruth(spliced, prompts, "max", nodes, rowsPerBlock);
      expect(blocks.ran).toEqual(whole.ran);
      for (const name of ["metricClean", "metricCorrupted", "metricPatched"] as const)
        expectSameInAnyBlock(blocks[name], whole[name]);
    }
  });

  it("of identical prompts is not run, and its effect is exactly 0", async () => {
    const same = prompts.map((prompt) => ({ ...prompt, corrupted: prompt.clean }));
    const { metricClean, metricCorrupted, metricPatched, ran } = await computeTruth(
      spliced,
      same,
      "max",
      everyKind(ALL_POSITIONS),
      64,
    );
    expect(ran.every((one) => one === 0)).toBe(true);
    expect(metricCorrupted).toEqual(metricClean);
    for (const [i, metric] of metricPatched.entries())
      expect(metric).toBe(metricClean[Math.floor((i * metricClean.length) / metricPatched.length)]);
  });

  it("skips empty slots, and nodes of the last layer before the answer position, which cannot reach it", async () => {
    const node = (position: number, site: Site): Node => ({
      kind: "site",
      site,
      layer: LAST,
      position,
    });
    const nodes = [null, node(5, "resid_post"), node(5, "attn_z"), node(6, "attn_z"), null];
    const { ran, metricClean, metricPatched } = await computeTruth(spliced, prompts, "max", nodes, 4);
    for (const [p, metric] of metricClean.entries()) {
      expect([...ran.subarray(p * 5, p * 5 + 5)]).toEqual([0, 0, 0, 1, 0]);
      expect(metricPatched[p * 5]).toBe(metric);
      expect(metricPatched[p * 5 + 3]).not.toBe(metric);
    }
  });

  it("of the whole last residual stream at the answer gives the corrupted metric", async () => {
    const node: Node = { kind: "site", site: "resid_post", layer: LAST, position: T - 1 };
    const { metricPatched, metricCorrupted } = await computeTruth(spliced, prompts, "max", [node], 4);
    expect(metricPatched).toBeAllclose(metricCorrupted);
  });

  it("of the whole residual stream at all positions is the corrupted metric to the bit in every layer, without a run", async () => {
    const node: Node = { kind: "site", site: "resid_post", layer: 0, position: GLOBAL_POSITION };
    const nodes = Array.from({ length: LAST + 1 }, (_, layer) => ({ ...node, layer }));
    const { metricPatched, metricCorrupted, ran } = await computeTruth(spliced, prompts, "max", nodes, 4);
    for (const [i, metric] of metricPatched.entries())
      expect(metric).toBe(metricCorrupted[Math.floor(i / nodes.length)]);
    expect(ran.every((one) => one === 0)).toBe(true);
  });

  it("is AtP in the limit of a small delta, at every site and for every kind of node", async () => {
    // What a neuron's patch adds is not in proportion to its change: neurons.test.ts takes their limit.
    const nodes = everyKind([2, 4, 6]).filter(({ kind }) => kind !== "neuron");
    const eps = 0.004;
    const [up, down] = [await forcedTruth(nodes, eps, 512), await forcedTruth(nodes, -eps, 512)];
    const scores = await computeScores(spliced, prompts, "max", { name: "atp", method: "atp" });
    const score = (node: Node, p: number): number => {
      const hook = siteHook(node);
      const position = Number(node.position); // None is at all positions at once.
      const row = p * T + position;
      if (node.kind !== "feature" && node.kind !== "head") return must(scores[node.kind].get(hook)?.[row], hook);
      if (node.kind === "head") return must(scores.head.get(hook)?.[row * HEADS + node.head], hook);
      const { pointer, index, value } = must(scores.feature.get(hook), hook);
      const at = index.subarray(pointer[p], pointer[p + 1]).indexOf(position * F + node.feature);
      return at < 0 ? 0 : must(value[must(pointer[p], "pointer") + at], hook);
    };
    const estimated: number[] = [];
    const measured: number[] = [];
    for (const [i, value] of up.metric.entries()) {
      if (Number.isNaN(value)) continue;
      const [p, slot] = [Math.floor(i / nodes.length), i % nodes.length];
      measured.push((value - must(down.metric[i], "metric")) / (2 * eps));
      estimated.push(score(must(nodes[slot], "node"), p));
    }
    expect(measured).toBeAllclose(estimated, { rtol: 2e-4, atol: 0 });
  });

  it("names the node, its position and the prompt where a metric is not finite", async () => {
    const hurt = must(spliced.saes[4], "SAE");
    const decoder = (await hurt.sae.now().W_dec_FD.array()) as number[][];
    must(decoder[9], "row")[0] = Number.NaN;
    const W_dec_FD = tf.tensor2d(decoder);
    const broken = await changedModel(spliced, {
      sae: (sae, { site, layer }) => (site === hurt.site && layer === hurt.layer ? { ...sae, W_dec_FD } : sae),
    });
    const nodes = [8, 9].flatMap((feature) =>
      Array.from({ length: T }, (_, position): Node => ({
        kind: "feature",
        site: hurt.site,
        layer: hurt.layer,
        position,
        feature,
      })),
    );
    const action = computeTruth(broken, goldenPrompts("pairs"), "max", nodes, 64);
    const hook = siteHook(hurt).replaceAll(".", "\\.");
    await expect(action).rejects.toThrow(
      new RegExp(`${hook}\\.hook_sae_acts_post, feature 9 patched at position \\d.* line \\d+`),
    );
    W_dec_FD.dispose();
  });

  it("gives the same bits from kept runs of the same prompts, and never those of others", async () => {
    const cache = createRunCache();
    await expect(async () => {
      for (const some of [prompts, prompts, prompts.slice(1), prompts]) {
        const nodes = everyKind([2, 5]);
        const fresh = await computeTruth(spliced, some, "max", nodes, 64);
        expect(await computeTruth(spliced, some, "max", nodes, 64, { cache })).toEqual(fresh);
      }
      cache.dispose();
    }).toLeakNoTensors();
  });

  it("leaks no tensors, also when it throws", async () => {
    await expect(() => computeTruth(spliced, prompts, "max", everyKind(ALL_POSITIONS), 64)).toLeakNoTensors();
    const plain = prompts.map((prompt) => ({ ...prompt, corrupted: null }));
    await expect(() => computeTruth(spliced, plain, "max", everyKind([2]), 64).catch(() => null)).toLeakNoTensors();
  });

  it("reports progress up to the number of runs", async () => {
    const seen: number[][] = [];
    const onProgress = (done: number, total: number): void => void seen.push([done, total]);
    const { ran } = await computeTruth(spliced, prompts, "max", everyKind([2]), 16, { onProgress });
    const runs = ran.reduce((a, b) => a + b, 0);
    expect(seen[0]).toEqual([0, runs]);
    expect(seen.at(-1)).toEqual([runs, runs]);
  });
});
