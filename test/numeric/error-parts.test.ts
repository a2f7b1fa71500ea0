/** @file SAE errors split by a linear function of their site's activation: the fit, scores, true effects and ablation of both parts. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { computeErrorFit } from "../../src/experiments/error-fit/error-fit.js";
import { type FitWalk, openFitWalk } from "../../src/experiments/error-fit/fit-walk.js";
import type { ErrorFitResult } from "../../src/experiments/error-fit/payload.js";
import { computeTruth } from "../../src/experiments/truth/truth.js";
import { isPartKind, NODE_KINDS } from "../../src/nodes/kinds.js";
import { type Node, nodeAt, nodeHook } from "../../src/nodes/node.js";
import { siteHook, type SaeSiteAt } from "../../src/nodes/site.js";
import { withErrorFits } from "../../src/passes/fitted-model.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { read } from "../../src/model/read-tensor.js";
import type { ScoreSpec } from "../../src/sweep/sweep.js";
import { goldenArrays, goldenPrompts, goldenSpliced } from "./golden.js";
import { denseRows } from "./dense.js";
import { GOLDEN_LENGTH as T, GOLDEN_SITES, GOLDEN_WIDTH as F } from "./golden-sites.js";
import { computeScores } from "./score-by-name.js";
import { largestMagnitude } from "./matchers.js";

const pairs = goldenPrompts("pairs");
const PARTS = NODE_KINDS.filter(isPartKind);
/** Prompts whose scores and effects the reference has. */
const [SCORED, PATCHED] = [12, 6];
const RIDGE = 1e-3;
const TOLERANCE = { rtol: 0, atol: 5e-5 };
const METHODS: readonly ScoreSpec[] = [
  { name: "atp", method: "atp" },
  { name: "zero", method: "zero" },
  { name: "ig", method: "ig", steps: 2 },
  { name: "relp", method: "relp" },
];

let plain: SplicedModel;
let spliced: SplicedModel;
const fits = new Map<string, ErrorFitResult>();
const fitAt = (at: SaeSiteAt): ErrorFitResult => must(fits.get(siteHook(at)), "fit");

beforeAll(async () => {
  plain = await goldenSpliced();
  const walk = openFitWalk(plain.model, [[pairs]]);
  for (const at of GOLDEN_SITES) fits.set(siteHook(at), await computeErrorFit(plain, walk, { at, ridge: RIDGE }));
  walk.dispose();
  spliced = withErrorFits(plain, (at) => Promise.resolve(fitAt(at)));
  await spliced.model.pool.fill();
});
afterAll(() => {
  spliced.dispose();
});

describe("the fit of a site's error", () => {
  /** The fits of some sites, in this order, by one walk. */
  const fitted = async (walk: FitWalk, sites: readonly SaeSiteAt[]): Promise<ErrorFitResult[]> => {
    const found: ErrorFitResult[] = [];
    for (const at of sites) found.push(await computeErrorFit(plain, walk, { at, ridge: RIDGE }));
    walk.dispose();
    return found;
  };
  const late: SaeSiteAt = { site: "mlp_out", layer: 2 };
  const blocks = [pairs.slice(0, 16), pairs.slice(16)];

  it("is made of both sides of every pair, at every position after BOS", () => {
    for (const { rows, A, b } of fits.values())
      expect([rows, A.length]).toEqual([2 * pairs.length * (T - 1), b.length ** 2]);
  });

  it("explains a share of the error, more than a fit with a large penalty does", async () => {
    const walk = openFitWalk(plain.model, [[pairs]]);
    for (const at of GOLDEN_SITES.slice(0, 3)) {
      const { explained } = await computeErrorFit(plain, walk, { at, ridge: 1 });
      expect(explained).toBeGreaterThan(0);
      expect(fitAt(at).explained).toBeGreaterThan(explained);
      expect(fitAt(at).explained).toBeLessThan(1);
    }
    walk.dispose();
  });

  it("has the same bits whether the walk comes from another site, begins at the embedding, or goes group by group", async () => {
    const [alone] = await fitted(openFitWalk(plain.model, [blocks]), [late]);
    const before: SaeSiteAt[] = [
      { site: "attn_z", layer: 0 },
      { site: "resid_post", layer: 2 },
      { site: "resid_post", layer: 3 },
    ];
    expect((await fitted(openFitWalk(plain.model, [blocks]), [...before, late])).at(-1)).toEqual(alone);
    expect(
      await fitted(
        openFitWalk(
          plain.model,
          blocks.map((block) => [block]),
        ),
        [late, late],
      ),
    ).toEqual([alone, alone]);
  });

  it("leaks no tensors, also when a value is not finite", async () => {
    await expect(async () => {
      await fitted(openFitWalk(plain.model, [blocks]), [late, { site: "attn_z", layer: 1 }]);
    }).toLeakNoTensors();
    const broken = blocks.map((block) => block.map((pair) => ({ ...pair, corrupted: null })));
    await expect(async () => {
      const walk = openFitWalk(plain.model, [broken]);
      await expect(fitted(walk, [late])).rejects.toMatchObject({ code: "bad_input" });
    }).toLeakNoTensors();
  });
});

describe("parts of errors", () => {
  it("have the reference's AtP scores, prompt by prompt", async () => {
    const expected = await goldenArrays("error-parts");
    const scores = await computeScores(spliced, pairs.slice(0, SCORED), "max", must(METHODS[0], "atp"));
    const seen: string[] = [];
    for (const kind of PARTS)
      for (const at of GOLDEN_SITES) {
        const hook = nodeHook(at, kind);
        expect(must(scores[kind].get(siteHook(at)), hook), hook).toBeAllclose(expected.get(hook), TOLERANCE);
        seen.push(hook, `${hook}.effect`);
      }
    expect(seen.sort()).toEqual(expected.keys.sort());
  });

  it("have the reference's true effects, prompt by prompt", async () => {
    const expected = await goldenArrays("error-parts");
    const nodes = PARTS.flatMap((kind) =>
      GOLDEN_SITES.flatMap((at) =>
        Array.from({ length: T }, (_, position): Node => nodeAt(kind, { ...at, position }, 0)),
      ),
    );
    const { metricPatched, metricClean } = await computeTruth(spliced, pairs.slice(0, PATCHED), "max", nodes, 64);
    const effectOf = (p: number, slot: number): number =>
      must(metricPatched[p * nodes.length + slot], "metric") - must(metricClean[p], "metric");
    for (let first = 0; first < nodes.length; first += T) {
      const hook = `${nodeHook(must(nodes[first], "node"), must(nodes[first], "node").kind)}.effect`;
      const effects = Array.from({ length: PATCHED * T }, (_, i) => effectOf(Math.floor(i / T), first + (i % T)));
      expect(effects, hook).toBeAllclose(expected.get(hook), TOLERANCE);
    }
  });

  it.each(METHODS)("add up to the error's score by $method", async (method) => {
    const scores = await computeScores(spliced, pairs.slice(0, 4), "max", method);
    expect(scores.error_linear.size).toBe(GOLDEN_SITES.length);
    for (const [hook, errors] of scores.error) {
      const [linear, rest] = PARTS.map((kind) => must(scores[kind].get(hook), hook));
      const sums = Float64Array.from(errors, (_, i) => must(linear?.[i], "linear") + must(rest?.[i], "rest"));
      const scale = Math.max(...[errors, linear, rest].map((values) => largestMagnitude(values ?? [])));
      expect(sums, hook).toBeAllclose(errors, { rtol: 0, atol: 1e-5 * Math.max(1e-3, scale) });
      expect(largestMagnitude(must(linear, "linear"))).toBeGreaterThan(0);
    }
  });

  it("are scored by their definition: with A = 1 and b = b_dec the linear part is the activation and the decoder's bias", async () => {
    const biases = new Map<string, Float32Array>();
    for (const { sae, ...at } of plain.saes) biases.set(siteHook(at), await read(sae.now().b_dec_D));
    const simple = withErrorFits(plain, (at) => {
      const b = must(biases.get(siteHook(at)), "bias");
      const A = Float32Array.from({ length: b.length ** 2 }, (_, i) => (i % (b.length + 1) === 0 ? 1 : 0));
      return Promise.resolve({ A, b });
    });
    for (const method of METHODS) {
      const scores = await computeScores(simple, pairs.slice(0, 3), "max", method);
      for (const [hook, linear] of scores.error_linear) {
        const [site, errors] = [must(scores.site.get(hook), hook), must(scores.error.get(hook), hook)];
        const features = denseRows(must(scores.feature.get(hook), hook), T * F).values;
        // What zero ablation leaves of a site is the decoder's bias; with a donor it is nothing.
        const bias = site.map((whole, row) => {
          const listed = features.subarray(row * F, (row + 1) * F).reduce((sum, one) => sum + one, 0);
          return method.method === "zero" ? whole - listed - must(errors[row], "error") : 0;
        });
        const scale = Math.max(largestMagnitude(site), largestMagnitude(features));
        const expected = site.map((whole, row) => whole + must(bias[row], "bias"));
        expect(linear, hook).toBeAllclose(expected, { rtol: 0, atol: 2e-5 * scale });
        if (method.method === "zero") expect(largestMagnitude(bias), hook).toBeGreaterThan(1e-3 * scale);
      }
    }
  });

  it("change no other score's bits, and are not scored where errors are not split", async () => {
    for (const method of METHODS) {
      const [split, whole] = [
        await computeScores(spliced, pairs.slice(0, 3), "max", method),
        await computeScores(plain, pairs.slice(0, 3), "max", method),
      ];
      expect([whole.error_linear.size, whole.error_nonlinear.size]).toEqual([0, 0]);
      expect({ ...split, error_linear: new Map(), error_nonlinear: new Map() }).toEqual(whole);
    }
  });

  it("of identical prompts score exactly 0 and are not patched", async () => {
    const same = pairs.slice(0, 3).map((pair) => ({ ...pair, corrupted: pair.clean }));
    const scores = await computeScores(spliced, same, "max", must(METHODS[0], "atp"));
    for (const kind of PARTS) for (const values of scores[kind].values()) expect(largestMagnitude(values)).toBe(0);
    const nodes = PARTS.flatMap((kind) => GOLDEN_SITES.map((at) => nodeAt(kind, { ...at, position: T - 1 }, 0)));
    const { ran } = await computeTruth(spliced, same, "max", nodes, 64);
    expect(ran.every((one) => one === 0)).toBe(true);
  });
});
