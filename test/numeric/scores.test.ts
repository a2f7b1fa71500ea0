import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { computeMeans } from "../../src/experiments/means/means.js";
import { computeScores } from "./score-by-name.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { nodeHook, parseNodeHook } from "../../src/nodes/node.js";
import type { ScoreSpec } from "../../src/sweep/sweep.js";
import { denseScores, meanOverPrompts, semOverPrompts } from "./dense.js";
import { goldenArrays, goldenJson, goldenPrompts, goldenSpliced } from "./golden.js";
import "./matchers.js";
import type { ScoresResult } from "../../src/artifacts/scores-payload.js";

const ATP: ScoreSpec = { name: "atp", method: "atp" };
const ZERO: ScoreSpec = { name: "zero", method: "zero" };
const IG: ScoreSpec = { name: "ig", method: "ig", steps: 10 };
const F = 128;
const T = 7;

describe("golden scores", () => {
  const pairs = goldenPrompts("pairs");
  let spliced: SplicedModel;
  let atp: ScoresResult;
  beforeAll(async () => {
    spliced = await goldenSpliced();
    atp = await computeScores(spliced, pairs, "max", ATP);
  });
  afterAll(() => {
    spliced.dispose();
  });

  it("AtP: means and standard errors over prompts agree", async () => {
    const expected = await goldenArrays("scores-atp");
    const scores = denseScores(atp, T, F);
    for (const [hook, values] of scores) {
      expect(meanOverPrompts(values), hook).toBeAllclose(expected.get(hook));
      expect(semOverPrompts(values), hook).toBeAllclose(expected.get(`${hook}.sem`));
    }
    expect([...scores.keys()].flatMap((hook) => [hook, `${hook}.sem`]).sort()).toEqual(expected.keys.sort());
  });

  it.each([
    ["scores-atp-prompts", ATP],
    ["scores-ig-prompts", IG],
  ] as const)("%s: every prompt's scores agree", async (file, score) => {
    const expected = await goldenArrays(file);
    const scores = denseScores(await computeScores(spliced, pairs.slice(0, 3), "max", score), T, F);
    expect([...scores.keys()].sort()).toEqual(expected.keys.sort());
    for (const [hook, { values }] of scores) expect(values, hook).toBeAllclose(expected.get(hook));
  });

  it.each([
    ["scores-zero", ZERO],
    ["scores-ig", IG],
  ] as const)("%s: means over prompts agree", async (file, score) => {
    const expected = await goldenArrays(file);
    const scores = denseScores(await computeScores(spliced, pairs, "max", score), T, F);
    expect([...scores.keys()].sort()).toEqual(expected.keys.sort());
    for (const [hook, values] of scores) expect(meanOverPrompts(values), hook).toBeAllclose(expected.get(hook));
  });

  it("AtP of prompts of several lengths agrees, position by position", async () => {
    const expected = await goldenArrays("scores-atp-mixed");
    const longest = 12;
    const count = new Float64Array(longest);
    const sums = new Map<string, Float64Array>();
    for (const prompt of goldenPrompts("mixed")) {
      const length = prompt.clean.length;
      for (let t = 0; t < length; t++) count[t] = must(count[t], "count") + 1;
      for (const [hook, { values }] of denseScores(await computeScores(spliced, [prompt], "max", ATP), length, F)) {
        const width = values.length / length;
        const sum = sums.get(hook) ?? new Float64Array(longest * width);
        values.forEach((value, i) => (sum[i] = must(sum[i], "sum") + value));
        sums.set(hook, sum);
      }
    }
    expect(count).toEqual(expected.get("count"));
    expect([...sums.keys(), "count"].sort()).toEqual(expected.keys.sort());
    for (const [hook, sum] of sums) {
      const width = sum.length / longest;
      const mean = sum.map((value, i) => value / must(count[Math.floor(i / width)], "count"));
      expect(mean, hook).toBeAllclose(expected.get(hook));
    }
  });

  it("components agree", async () => {
    const expected = await goldenArrays("components");
    const names = { delta_norm: "deltaNorm", grad_norm: "gradNorm", cosine: "cosine", dot: "dot" } as const;
    const seen: string[] = [];
    for (const [hook, components] of atp.components)
      for (const [name, field] of Object.entries(names)) {
        const mean = meanOverPrompts({ prompts: pairs.length, values: Float64Array.from(components[field as "dot"]) });
        expect(mean, `${hook}.${name}`).toBeAllclose(expected.get(`${hook}.${name}`));
        seen.push(`${hook}.${name}`);
      }
    expect(seen.sort()).toEqual(expected.keys.sort());
  });

  it("means over clean and corrupted runs agree, and the metrics with them", async () => {
    const expected = await goldenArrays("means");
    const result = await computeMeans(spliced, pairs, "max");
    const runs = 2 * pairs.length;
    const seen: string[] = [];
    for (const [site, { index, sum }] of result.features) {
      const hook = nodeHook(must(parseNodeHook(site), site), "feature");
      const mean = new Float64Array(T * F);
      index.forEach((node, i) => (mean[node] = must(sum[i], "sum") / runs));
      expect(mean, hook).toBeAllclose(expected.get(hook));
      seen.push(hook);
    }
    for (const [site, sum] of result.errors) {
      const hook = nodeHook(must(parseNodeHook(site), site), "error");
      expect(
        sum.map((value) => value / runs),
        hook,
      ).toBeAllclose(expected.get(hook));
      seen.push(hook);
    }
    expect(seen.sort()).toEqual(expected.keys.sort());
    const metric = (goldenJson("metric") as { pairs: { clean: number[]; corrupted: number[] } }).pairs;
    expect(result.metricClean).toBeAllclose(metric.clean);
    expect(must(result.metricCorrupted, "corrupted")).toBeAllclose(metric.corrupted);
  });
});
