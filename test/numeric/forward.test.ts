import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { SAE_SITES, siteHook } from "../../src/nodes/site.js";
import { AUTODIFF_RULES } from "../../src/model/backward-rules.js";
import { answerLogits, forward, runLayer, startBlock } from "../../src/model/forward.js";
import { loadAnswers, metricsOf } from "../../src/model/metric.js";
import type { Model } from "../../src/model/model.js";
import { computeProducts, type Products } from "../../src/model/products.js";
import { unembed } from "../../src/model/unembedding.js";
import { goldenArrays, goldenJson, goldenModel, goldenPrompts } from "./golden.js";
import "./matchers.js";
import { expectSameInAnyBlock } from "./test-backend.js";

const ids = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Logits of the whole vocabulary at every row. */
async function allLogits(model: Model, prompts: readonly (readonly number[])[]): Promise<Float32Array> {
  const { vocabSize, dModel } = model.config;
  const resid_RD = await forward(model, prompts);
  const rows = await model.embedding.rows(ids(vocabSize));
  const logits = tf.tidy(() =>
    unembed(
      model.config,
      model.finalGain_D,
      resid_RD,
      tf.transpose(tf.tensor2d(rows, [vocabSize, dModel])),
      AUTODIFF_RULES,
    ),
  );
  const values = (await logits.data()) as Float32Array;
  tf.dispose([resid_RD, logits]);
  return values;
}

describe("Gemma-2 forward", () => {
  const pairs = goldenPrompts("pairs").slice(0, 3);
  const sides = { clean: pairs.map((p) => p.clean), corrupted: pairs.map((p) => must(p.corrupted, "corrupted")) };
  let model: Model;
  beforeAll(async () => {
    model = await goldenModel();
  });
  afterAll(() => {
    model.dispose();
  });

  it.each(["clean", "corrupted"] as const)("gives the reference's logits on %s prompts", async (side) => {
    const expected = await goldenArrays("forward");
    expect(await allLogits(model, sides[side])).toBeAllclose(expected.get(`logits.${side}`), { atol: 2e-5, rtol: 0 });
  });

  it.each(["clean", "corrupted"] as const)(
    "gives the reference's activations at every site on %s prompts",
    async (side) => {
      const expected = await goldenArrays("forward");
      const { resid_RD, frame } = await startBlock(model, sides[side]);
      let current = resid_RD;
      for (let layer = 0; layer < model.config.nLayers; layer++) {
        const activations = runLayer(model, layer, { resid_RD: current, frame });
        for (const site of SAE_SITES)
          expect(await activations[site].data()).toBeAllclose(expected.get(`${side}.${siteHook({ site, layer })}`));
        tf.dispose([current, activations.attn_z, activations.mlp_out]);
        current = activations.resid_post;
      }
      current.dispose();
      frame.dispose();
    },
  );

  it("gives the reference's logits for every prompt length", async () => {
    const expected = await goldenArrays("forward");
    for (const [i, prompt] of goldenPrompts("mixed").entries())
      expect(await allLogits(model, [prompt.clean])).toBeAllclose(expected.get(`mixed.${String(i)}.logits`));
  });

  it("gives the same bits from a checkpoint in two shards", async () => {
    const sharded = await goldenModel("model-sharded");
    expect(await allLogits(sharded, sides.clean)).toEqual(await allLogits(model, sides.clean));
    sharded.dispose();
  });

  it("computes in float32 from bfloat16 weights", async () => {
    const rounded = await goldenModel("model-bf16");
    const expected = await goldenArrays("forward-bf16-checkpoint");
    expect(await allLogits(rounded, sides.clean)).toBeAllclose(expected.get("logits.weights_upcast"));
    rounded.dispose();
  });

  it("gives a prompt the same logits in any block, on wasm bit for bit", async () => {
    const prompts = goldenPrompts("pairs").map((p) => p.clean);
    const together = await allLogits(model, prompts);
    const size = together.length / prompts.length;
    for (const [start, end] of [
      [0, 1],
      [3, 5],
      [5, 12],
    ] as const)
      expectSameInAnyBlock(await allLogits(model, prompts.slice(start, end)), together.slice(start * size, end * size));
  });

  it.each(["output", "down"])("leaves nothing of a layer whose %s product fails", async (failing) => {
    const { resid_RD, frame } = await startBlock(model, sides.clean);
    const products: Products = (name, x_RK, matrix_KN) => {
      if (name === failing) throw new Error("no memory");
      return computeProducts(name, x_RK, matrix_KN);
    };
    await expect(() => {
      expect(() => runLayer(model, 0, { resid_RD, frame }, products)).toThrow("no memory");
    }).toLeakNoTensors();
    resid_RD.dispose();
    frame.dispose();
  });

  it("leaks no tensors", async () => {
    await expect(() => allLogits(model, sides.clean)).toLeakNoTensors();
  });
});

describe("metric", () => {
  let model: Model;
  beforeAll(async () => {
    model = await goldenModel();
  });
  afterAll(() => {
    model.dispose();
  });

  async function metrics(
    prompts: readonly { clean: readonly number[]; correct: number; incorrect: readonly number[] }[],
    reduce: "max" | "sum",
  ): Promise<Float64Array> {
    const answers = await loadAnswers(model.embedding, prompts, reduce);
    const resid_RD = await forward(
      model,
      prompts.map((p) => p.clean),
    );
    const logits = answerLogits(model, resid_RD, prompts.length, answers);
    const values = metricsOf(await logits.data(), answers);
    tf.dispose([resid_RD, logits]);
    answers.dispose();
    return values;
  }

  it("agrees with the reference on every pair, clean and corrupted", async () => {
    const expected = goldenJson("metric") as { pairs: { clean: number[]; corrupted: number[] } };
    const prompts = goldenPrompts("pairs");
    expect(await metrics(prompts, "max")).toBeAllclose(expected.pairs.clean);
    const corrupted = prompts.map((p) => ({ ...p, clean: must(p.corrupted, "corrupted") }));
    expect(await metrics(corrupted, "max")).toBeAllclose(expected.pairs.corrupted);
  });

  it("reduces several incorrect answers by maximum or by sum", async () => {
    const { several_incorrect: cases } = goldenJson("metric") as {
      several_incorrect: { pair: number; correct_id: number; incorrect_ids: number[]; max: number; sum: number }[];
    };
    const pairs = goldenPrompts("pairs");
    const prompts = cases.map((c) => ({
      clean: must(pairs[c.pair], "pair").clean,
      correct: c.correct_id,
      incorrect: c.incorrect_ids,
    }));
    expect(await metrics(prompts, "max")).toBeAllclose(cases.map((c) => c.max));
    expect(await metrics(prompts, "sum")).toBeAllclose(cases.map((c) => c.sum));
  });

  it("leaks no tensors", async () => {
    await expect(() => metrics(goldenPrompts("pairs"), "max")).toLeakNoTensors();
  });
});
