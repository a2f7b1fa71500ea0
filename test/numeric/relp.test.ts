import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as tf from "@tensorflow/tfjs-core";
import { must } from "../../src/base/assert.js";
import { changedModel } from "./changed-model.js";
import { computeScores } from "./score-by-name.js";
import { spliceModel, type SplicedModel } from "../../src/passes/spliced-model.js";
import { nodeHook, parseNodeHook } from "../../src/nodes/node.js";
import { AUTODIFF_RULES } from "../../src/model/backward-rules.js";
import { RELP_RULES } from "../../src/model/relp-rules.js";
import { mlpNeurons, mlpOut } from "../../src/model/mlp.js";
import { layerContext } from "../../src/model/model.js";
import { rmsNorm } from "../../src/model/rms-norm.js";
import { softCap } from "../../src/model/soft-cap.js";
import type { ScoreSpec } from "../../src/sweep/sweep.js";
import { goldenPrompts, goldenSpliced, TINY_A } from "./golden.js";
import { largestDifference } from "./matchers.js";
import { plainRelp, readPlainGemma } from "./plain-gemma.js";
import { BLOCK_RTOL, expectSameInAnyBlock } from "./test-backend.js";
import type { ScoresResult } from "../../src/artifacts/scores-payload.js";

const RELP: ScoreSpec = { name: "relp", method: "relp" };
const ATP: ScoreSpec = { name: "atp", method: "atp" };

describe("RelP", () => {
  const pairs = goldenPrompts("pairs");
  let spliced: SplicedModel;
  let relp: ScoresResult;
  beforeAll(async () => {
    spliced = await goldenSpliced();
    relp = await computeScores(spliced, pairs.slice(0, 3), "max", RELP);
  });
  afterAll(() => {
    spliced.dispose();
  });

  it("of every site and position is the effect of patching it in the linear model of a plain float64 reference", async () => {
    const plain = await readPlainGemma(`${TINY_A}/model`);
    for (const p of [0, 1, 2])
      for (const [hook, expected] of plainRelp(plain, must(pairs[p], "pair"))) {
        const scores = must(relp.site.get(hook), hook);
        expect(scores.subarray(p * 7, p * 7 + 7), `pair ${String(p)}, ${hook}`).toBeAllclose(expected, { atol: 5e-6 });
      }
  });

  it("adds up: features and error to the site, heads to attn_z", () => {
    for (const [hook, site] of relp.site) {
      const sums = Float64Array.from(must(relp.error.get(hook), hook));
      const { pointer, index, value } = must(relp.feature.get(hook), hook);
      for (let p = 0; p < 3; p++)
        for (let i = must(pointer[p], "start"); i < must(pointer[p + 1], "end"); i++) {
          const row = p * 7 + Math.floor(must(index[i], "index") / 128);
          sums[row] = must(sums[row], "sum") + must(value[i], "score");
        }
      expect(sums, hook).toBeAllclose(site, { rtol: 1e-5, atol: 1e-6 });
      const heads = relp.head.get(hook);
      if (heads !== undefined) {
        const of = (row: number): number => heads.subarray(row * 4, row * 4 + 4).reduce((a, b) => a + b, 0);
        expect(Array.from(site, (_, row) => of(row))).toBeAllclose(site, { rtol: 1e-5, atol: 1e-6 });
      }
    }
  });

  it("of identical prompts is exactly 0", async () => {
    const same = pairs.slice(0, 2).map((pair) => ({ ...pair, corrupted: pair.clean }));
    const {
      site: sites,
      head: heads,
      error: errors,
      feature: features,
    } = await computeScores(spliced, same, "max", RELP);
    for (const values of [...sites.values(), ...heads.values(), ...errors.values()])
      expect(values.every((v) => Math.abs(v) === 0)).toBe(true);
    for (const { value } of features.values()) expect(value).toHaveLength(0);
  });

  it("differs from AtP at every site, and lists the same features", async () => {
    const atp = await computeScores(spliced, pairs.slice(0, 3), "max", ATP);
    for (const [hook, site] of relp.site)
      expect(largestDifference(site, must(atp.site.get(hook), hook)).value).toBeGreaterThan(0);
    for (const [hook, rows] of relp.feature) {
      const node = nodeHook(must(parseNodeHook(hook), hook), "feature");
      expect(rows.index, node).toEqual(must(atp.feature.get(hook), hook).index);
    }
    expect(relp.components.size).toBe(0);
  });

  it("of prompts in a block does not depend on the others, and leaks no tensors", async () => {
    const alone = await computeScores(spliced, pairs.slice(1, 2), "max", RELP);
    for (const [hook, values] of alone.site)
      expect(values).toBeAllclose(must(relp.site.get(hook), hook).subarray(7, 14), {
        rtol: 2 * BLOCK_RTOL,
        atol: 1e-7,
      });
    await expect(() => computeScores(spliced, pairs.slice(0, 2), "max", RELP)).toLeakNoTensors();
  });

  it("is AtP on a linear model", async () => {
    const { config } = spliced.model;
    // Gains of 0 silence attention and MLP, a far-away cap is the identity, and a huge eps makes the norm's scale constant.
    const silent = await changedModel(spliced, {
      layer: (weights) => ({
        ...weights,
        postAttentionGain_D: tf.zerosLike(must(weights.postAttentionGain_D, "gain")),
        postMlpGain_D: tf.zerosLike(must(weights.postMlpGain_D, "gain")),
      }),
    });
    const linear = { ...config, finalSoftcap: 1e9, norm: { ...config.norm, eps: 1e12 } };
    const plain = spliceModel({ ...silent.model, config: linear }, []);
    const scores = await Promise.all([RELP, ATP].map((spec) => computeScores(plain, pairs.slice(0, 2), "max", spec)));
    const [a, b] = [must(scores[0], "relp"), must(scores[1], "atp")];
    for (const [hook, site] of a.site)
      expect(site, hook).toBeAllclose(must(b.site.get(hook), hook), { rtol: 1e-5, atol: 0 });
    for (const layer of silent.model.layers) {
      const { postAttentionGain_D, postMlpGain_D } = layer.now().weights;
      tf.dispose([must(postAttentionGain_D, "gain"), must(postMlpGain_D, "gain")]);
    }
  });
});

describe("RelP's rules", () => {
  const x = [-3, -0.5, -1e-30, 0, 1e-30, 0.25, 4];

  it("never change a forward value, but for rounding where a kernel stands for the ordinary rules", async () => {
    const spliced = await goldenSpliced();
    const rows = tf.randomNormal([5, spliced.model.config.dModel], 0, 1, "float32", 3);
    const [plain, relp] = [AUTODIFF_RULES, RELP_RULES].map((rules) => {
      const context = layerContext(spliced.model, 1, rules);
      return mlpOut(context, mlpNeurons(context, rows));
    });
    expectSameInAnyBlock(must(relp, "out").dataSync<"float32">(), must(plain, "out").dataSync<"float32">());
    tf.dispose([rows, relp, plain].filter((one) => one !== undefined));
    spliced.dispose();
  });

  it("give a nonlinearity its ratio as slope, the limit at 0, never a NaN", () => {
    const input = tf.tensor1d(x);
    const slope = tf
      .grad((y: tf.Tensor) => softCap(y, 2, RELP_RULES))(input)
      .dataSync();
    expect(slope).toBeAllclose(
      x.map((v) => (Math.abs(v) < 1e-9 ? 1 : (2 * Math.tanh(v / 2)) / v)),
      { rtol: 1e-6 },
    );
  });

  it("give a norm its scale as slope", () => {
    const row = tf.tensor2d([[1, 2, 2]]);
    const slope = tf
      .grad((y: tf.Tensor) => rmsNorm(y, tf.tensor1d([1, 1, 1]), 0, RELP_RULES))(row)
      .dataSync();
    expect(slope).toBeAllclose([1, 1, 1].map(() => 1 / Math.sqrt(3)));
  });

  it("give each factor half of its product's gradient", () => {
    const [left, right] = tf
      .grads((a: tf.Tensor, b: tf.Tensor) => RELP_RULES.product(a, b))([tf.tensor1d([2]), tf.tensor1d([6])])
      .map((gradient) => gradient.dataSync()[0]);
    expect([left, right]).toEqual([3, 1]);
  });

  it("hold the pattern constant", () => {
    const slope = tf
      .grad((y: tf.Tensor) => tf.add(RELP_RULES.pattern(y), y))(tf.tensor1d([0.3]))
      .dataSync();
    expect([...slope]).toEqual([1]);
  });
});
