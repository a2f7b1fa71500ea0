import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { PatchbayError } from "../../src/base/errors.js";
import { changedModel } from "./changed-model.js";
import { captureRun } from "./capture-run.js";
import { computeMeans } from "../../src/experiments/means/means.js";
import { computeScores } from "./score-by-name.js";
import { spliceModel, type SplicedModel } from "../../src/passes/spliced-model.js";
import { SAE_SITES } from "../../src/nodes/site.js";
import { loadAnswers } from "../../src/model/metric.js";
import { withScope } from "../../src/model/tensor-scope.js";
import type { ScoreSpec } from "../../src/sweep/sweep.js";
import { denseRows } from "./dense.js";
import { goldenPrompts, goldenSpliced } from "./golden.js";
import { BLOCK_RTOL } from "./test-backend.js";
import { largestMagnitude } from "./matchers.js";
import type { ScoresResult } from "../../src/artifacts/scores-payload.js";

const ATP: ScoreSpec = { name: "atp", method: "atp" };
const METHODS: readonly ScoreSpec[] = [ATP, { name: "zero", method: "zero" }, { name: "ig", method: "ig", steps: 2 }];

const arraysOf = (result: ScoresResult): Map<string, ArrayLike<number>> =>
  new Map<string, ArrayLike<number>>([
    ...[...result.feature].flatMap(([hook, rows]) =>
      Object.entries(rows as unknown as Record<string, Float32Array>).map(
        ([name, v]) => [`${hook}.${name}`, v] as const,
      ),
    ),
    ...[...result.error].map(([hook, v]) => [`${hook}.error`, v] as const),
    ...[...result.site].map(([hook, v]) => [`${hook}.site`, v] as const),
    ...[...result.head].map(([hook, v]) => [`${hook}.heads`, v] as const),
    ...[...result.components].flatMap(([hook, parts]) =>
      Object.entries(parts as unknown as Record<string, Float32Array>).map(
        ([name, v]) => [`${hook}.${name}`, v] as const,
      ),
    ),
  ]);

describe("scores", () => {
  const pairs = goldenPrompts("pairs");
  let spliced: SplicedModel;
  beforeAll(async () => {
    spliced = await goldenSpliced();
  });
  afterAll(() => {
    spliced.dispose();
  });

  it.each(["atp", "ig"])("%s of identical prompts are exactly 0, and no feature is listed", async (method) => {
    const same = pairs.slice(0, 3).map((p) => ({ ...p, corrupted: p.clean }));
    const result = await computeScores(
      spliced,
      same,
      "max",
      must(
        METHODS.find((m) => m.method === method),
        method,
      ),
    );
    for (const rows of result.feature.values()) expect(rows.index).toHaveLength(0);
    for (const values of [...result.error.values(), ...result.site.values(), ...result.head.values()])
      expect(largestMagnitude(values)).toBe(0);
  });

  it("AtP is exactly 0 at every position before the first difference", async () => {
    const result = await computeScores(spliced, pairs, "max", ATP);
    for (const [p, prompt] of pairs.entries()) {
      const first = prompt.clean.findIndex((id, t) => id !== prompt.corrupted?.[t]);
      for (const errors of result.error.values())
        expect(largestMagnitude(errors.subarray(p * 7, p * 7 + first))).toBe(0);
      for (const { pointer, index } of result.feature.values())
        for (let i = must(pointer[p], "start"); i < must(pointer[p + 1], "end"); i++)
          expect(must(index[i], "index")).toBeGreaterThanOrEqual(first * 128);
    }
  });

  it("of a site's features and error add up to gradient . delta", async () => {
    for (const method of [ATP, must(METHODS[2], "ig")]) {
      const result = await computeScores(spliced, pairs.slice(0, 4), "max", method);
      for (const [hook, errors] of result.error) {
        const site = must(result.site.get(hook), "site");
        const features = denseRows(must(result.feature.get(hook), "features"), 7 * 128).values;
        const sums = Float64Array.from(
          errors,
          (e, row) => e + features.subarray(row * 128, (row + 1) * 128).reduce((a, b) => a + b, 0),
        );
        expect(sums, hook).toBeAllclose(site, { rtol: 1e-5, atol: 1e-6 });
      }
    }
  });

  it("of a layer's heads add up to its attn_z site's", async () => {
    const { head: heads, site: sites } = await computeScores(spliced, pairs.slice(0, 4), "max", ATP);
    expect(heads.size).toBe(4);
    for (const [hook, values] of heads) {
      const sums = Float64Array.from({ length: values.length / 4 }, (_, row) =>
        values.subarray(row * 4, row * 4 + 4).reduce((a, b) => a + b, 0),
      );
      expect(sums, hook).toBeAllclose(must(sites.get(hook), "site"), { rtol: 1e-5, atol: 1e-6 });
    }
  });

  it.each([1, 2, 5])("in blocks of %i prompts differ from one block of all by rounding alone", async (size) => {
    for (const method of METHODS) {
      const together = await computeScores(spliced, pairs.slice(0, 10), "max", method);
      const parts: ScoresResult[] = [];
      for (let p = 0; p < 10; p += size)
        parts.push(await computeScores(spliced, pairs.slice(p, p + size), "max", method));
      for (const [hook, rows] of together.feature) {
        const split = parts.flatMap((part) => [...denseRows(must(part.feature.get(hook), hook), 7 * 128).values]);
        expect(split, hook).toBeAllclose(denseRows(rows, 7 * 128).values, { rtol: BLOCK_RTOL, atol: 0 });
      }
      for (const [hook, errors] of together.error)
        expect(
          parts.flatMap((part) => [...must(part.error.get(hook), hook)]),
          hook,
        ).toBeAllclose(errors, { rtol: BLOCK_RTOL, atol: 0 });
    }
  });

  it("have the same bits from run to run", async () => {
    for (const method of METHODS) {
      const [first, second] = [
        await computeScores(spliced, pairs.slice(0, 5), "max", method),
        await computeScores(spliced, pairs.slice(0, 5), "max", method),
      ];
      expect(arraysOf(second)).toEqual(arraysOf(first));
    }
  });

  it("need no SAE for whole sites and heads, and give the same bits there", async () => {
    const plain = spliceModel(spliced.model, []);
    const [bare, full] = [
      await computeScores(plain, pairs.slice(0, 3), "max", ATP),
      await computeScores(spliced, pairs.slice(0, 3), "max", ATP),
    ];
    expect(bare.site).toEqual(full.site);
    expect(bare.head).toEqual(full.head);
    expect([bare.feature.size, bare.error.size, bare.components.size]).toEqual([0, 0, 4]);
  });

  it("use the larger of several incorrect answers with max", async () => {
    const [first, second] = [must(pairs[0], "pair"), must(pairs[1], "pair")];
    const several = { ...first, incorrect: [...first.incorrect, ...second.incorrect] };
    const alone = await Promise.all(
      several.incorrect.map(
        async (id) =>
          await withScope(async (own) => {
            const answers = own(await loadAnswers(spliced.model.embedding, [{ ...first, incorrect: [id] }], "max"));
            return must(own(await captureRun(spliced.model, [first], "clean", answers)).metric[0], "metric");
          }),
      ),
    );
    const larger = must(several.incorrect[must(alone[0], "m") >= must(alone[1], "m") ? 0 : 1], "answer");
    const [a, b] = [
      await computeScores(spliced, [several], "max", ATP),
      await computeScores(spliced, [{ ...first, incorrect: [larger] }], "max", ATP),
    ];
    for (const [hook, values] of a.site)
      expect(values).toBeAllclose(must(b.site.get(hook), hook), { rtol: 1e-5, atol: 1e-7 });
  });

  it("by zero ablation need no corrupted run, and by the others are refused without one", async () => {
    const [zero] = METHODS.filter(({ method }) => method === "zero");
    const plain = pairs.slice(0, 2).map((p) => ({ ...p, corrupted: null }));
    const both = [plain, pairs.slice(0, 2)].map((prompts) =>
      computeScores(spliced, prompts, "max", must(zero, "zero")),
    );
    const [alone, paired] = [await both[0], await both[1]];
    expect(arraysOf(must(alone, "scores"))).toEqual(arraysOf(must(paired, "scores")));
    await expect(computeScores(spliced, plain, "max", ATP)).rejects.toMatchObject({ code: "bad_input" });
  });

  it.each(METHODS)("by $method leak no tensors", async (method) => {
    await expect(() => computeScores(spliced, pairs.slice(0, 3), "max", method)).toLeakNoTensors();
  });

  it("report progress up to the total", async () => {
    const steps: string[] = [];
    await computeScores(spliced, pairs.slice(0, 1), "max", ATP, (done, total) =>
      steps.push(`${String(done)}/${String(total)}`),
    );
    expect([steps.length, steps.at(-1)]).toEqual([12, "12/12"]);
  });
});

describe("means", () => {
  const pairs = goldenPrompts("pairs").slice(0, 4);
  let spliced: SplicedModel;
  beforeAll(async () => {
    spliced = await goldenSpliced();
  });
  afterAll(() => {
    spliced.dispose();
  });

  it("take the clean run alone on a plain dataset", async () => {
    const plain = pairs.map((p) => ({ ...p, corrupted: null }));
    const twice = pairs.map((p) => ({ ...p, corrupted: p.clean }));
    const [once, both] = [await computeMeans(spliced, plain, "max"), await computeMeans(spliced, twice, "max")];
    expect(once.metricCorrupted).toBeNull();
    for (const [hook, { index, sum, differs }] of both.features) {
      const single = must(once.features.get(hook), hook);
      expect(index).toEqual(single.index);
      expect(sum).toBeAllclose(
        single.sum.map((v) => 2 * v),
        { rtol: 1e-12, atol: 0 },
      );
      expect([differs.length, single.differs.length]).toEqual([0, 0]);
    }
  });

  it("list as differing every feature that AtP lists, and no other but where the gradient is 0", async () => {
    const { features } = await computeMeans(spliced, pairs, "max");
    const scores = await computeScores(spliced, pairs, "max", ATP);
    for (const [hook, { differs }] of features) {
      const listed = [...new Set(must(scores.feature.get(hook), hook).index)].sort((x, y) => x - y);
      const lastLayer = ["blocks.3.hook_resid_post", "blocks.3.hook_mlp_out", "blocks.3.attn.hook_z"].includes(hook);
      const reached = [...differs].filter((index) => !lastLayer || index >= 6 * 128);
      expect(listed, hook).toEqual(reached);
    }
  });

  it("leak no tensors", async () => {
    await expect(() => computeMeans(spliced, pairs, "max")).toLeakNoTensors();
  });
});

describe("a value that is not finite", () => {
  const pairs = goldenPrompts("pairs").slice(0, 2);
  let spliced: SplicedModel;
  beforeAll(async () => {
    spliced = await goldenSpliced();
  });
  afterAll(() => {
    spliced.dispose();
  });

  /** The model with layer 2's MLP scaled until it overflows. */
  async function overflowing(): Promise<SplicedModel> {
    return await changedModel(spliced, {
      layer: (weights, i) =>
        i === 2 ? { ...weights, postMlpGain_D: tf.fill([spliced.model.config.dModel], 3e38) } : weights,
    });
  }

  it.each([...METHODS.map((m) => m.method), "means"])(
    "in a run is reported with layer, site and line, and leaks nothing (%s)",
    async (method) => {
      const broken = await overflowing();
      const program = async (): Promise<unknown> => {
        const score = METHODS.find((m) => m.method === method);
        return score === undefined ? computeMeans(broken, pairs, "max") : computeScores(broken, pairs, "max", score);
      };
      await expect(async () => {
        const thrown: unknown = await program().catch((error: unknown) => error);
        expect(thrown).toBeInstanceOf(PatchbayError);
        expect(thrown).toMatchObject({ code: "non_finite", detail: { line: 1, field: "blocks.2.hook_mlp_out" } });
        expect((thrown as Error).message).toMatch(/layer 2.*mlp_out.*line 1/);
      }).toLeakNoTensors();
      must(must(broken.model.layers[2], "layer").now().weights.postMlpGain_D, "gain").dispose();
    },
  );

  it("in an SAE is reported at its site", async () => {
    const at = { site: must(SAE_SITES[0], "site"), layer: 1 };
    const sae = must(spliced.sae(at), "SAE");
    const b_dec_D = tf.fill([sae.dIn], Number.POSITIVE_INFINITY);
    const broken = await changedModel(spliced, {
      sae: (one) => (one.b_dec_D === sae.b_dec_D ? { ...one, b_dec_D } : one),
    });
    await expect(computeScores(broken, pairs, "max", { name: "zero", method: "zero" })).rejects.toMatchObject({
      code: "non_finite",
      detail: { field: "blocks.1.attn.hook_z", line: 1 },
    });
    b_dec_D.dispose();
  });
});
