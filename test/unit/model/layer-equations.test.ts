import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, beforeEach, afterEach, describe, expect, it } from "vitest";
import { must } from "../../../src/base/assert.js";
import { createRng } from "../../../src/base/rng.js";
import { attentionCore, attentionMask } from "../../../src/model/attention.js";
import { AUTODIFF_RULES, type BackwardRules } from "../../../src/model/backward-rules.js";
import { afterAttention, attend, wholeFrame } from "../../../src/model/layer.js";
import type { LayerContext } from "../../../src/model/layer-context.js";
import { computeProducts } from "../../../src/model/products.js";
import { geluTanh } from "../../../src/model/mlp.js";
import { rmsNorm } from "../../../src/model/rms-norm.js";
import { applyRope, ropeTables } from "../../../src/model/rope.js";
import { softCap } from "../../../src/model/soft-cap.js";
import type { ModelConfig } from "../../../src/families/family.js";
import { gemma2Config } from "../../../src/families/gemma2.js";
import { startBackend } from "../../../src/backends/start-backend.js";
import "../../numeric/matchers.js";

const options = {
  nLayers: 1,
  dModel: 6,
  nHeads: 4,
  nKvHeads: 2,
  headDim: 4,
  dMlp: 10,
  vocabSize: 20,
  queryPreAttnScalar: 5,
  rmsEps: 1e-6,
  slidingWindow: 3,
  layerTypes: ["sliding"] as const,
  attnSoftcap: 7,
  finalSoftcap: 9,
  maxPositions: 32,
  bosId: 2,
  padId: 0,
  eosId: 1,
};
const config: ModelConfig = gemma2Config(options, 100);
const rng = createRng(3, "layer-equations");
const normal = (...shape: number[]): Float32Array =>
  Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal());
const values = (x: tf.Tensor): number[] => Array.from(x.dataSync());

beforeAll(() => startBackend("wasm"));
beforeEach(() => {
  tf.engine().startScope();
});
afterEach(() => {
  tf.engine().endScope();
});

describe("rmsNorm", () => {
  it("gives rows of root mean square 1, times the gain", () => {
    const out = values(
      rmsNorm(
        tf.tensor2d([
          [3, -4],
          [0, 0],
        ]),
        tf.tensor1d([1, 10]),
        1e-6,
        AUTODIFF_RULES,
      ),
    );
    expect(out).toBeAllclose([3 / Math.sqrt(12.5), -40 / Math.sqrt(12.5), 0, 0]);
  });
});

describe("softCap and geluTanh", () => {
  const xs = Float32Array.of(-60, -3, -0.5, 0, 1e-4, 0.7, 4, 80);

  it("agree with their formulas", () => {
    expect(values(softCap(tf.tensor1d(xs), 7, AUTODIFF_RULES))).toBeAllclose(
      Array.from(xs, (x) => 7 * Math.tanh(x / 7)),
      { rtol: 1e-6 },
    );
    const gelu = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    expect(values(geluTanh(tf.tensor1d(xs)))).toBeAllclose(Array.from(xs, gelu), { rtol: 1e-6, atol: 1e-6 });
  });
});

describe("rope", () => {
  const dot = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, x, i) => sum + x * must(b[i], "value"), 0);

  it("turns position 0 by nothing, bit for bit", () => {
    const x = tf.tensor2d(normal(1, 8), [1, 8]);
    expect(values(applyRope(x, ropeTables(config, "full", [0])))).toEqual(values(x));
  });

  it("makes a product of query and key depend on the distance alone", () => {
    const [q, k] = [tf.tensor2d(normal(1, 4), [1, 4]), tf.tensor2d(normal(1, 4), [1, 4])];
    const at = (x: tf.Tensor, position: number): number[] =>
      values(applyRope(x, ropeTables(config, "full", [position])));
    expect(dot(at(q, 9), at(k, 6))).toBeCloseTo(dot(at(q, 3), at(k, 0)), 5);
    expect(dot(at(q, 9), at(k, 5))).not.toBeCloseTo(dot(at(q, 3), at(k, 0)), 3);
  });

  it("pairs the first half of a head with its second half", () => {
    const [c, s] = [Math.cos(2), Math.sin(2)];
    expect(values(applyRope(tf.tensor2d([[1, 0, 0, 0]]), ropeTables(config, "full", [2])))).toBeAllclose([c, 0, s, 0], {
      atol: 1e-6,
    });
  });
});

describe("attention", () => {
  it("masks what comes later, and with a window all but the latest keys", () => {
    const seen = (kind: "full" | "sliding", positions: number[]): boolean[] =>
      values(attentionMask({ ...config, nKvHeads: 4 }, kind, positions, 6)).map((x) => x === 0);
    const [yes, no] = [true, false];
    expect(seen("full", [4])).toEqual([yes, yes, yes, yes, yes, no]);
    expect(seen("sliding", [4])).toEqual([no, no, yes, yes, yes, no]);
    expect(seen("sliding", [0])).toEqual([yes, no, no, no, no, no]);
  });

  /** Attention of one prompt written out in float64, keys and values repeated for each query head. */
  function naive(q: Float32Array, k: Float32Array, v: Float32Array, T: number): number[] {
    const { nHeads: N, nKvHeads: K, headDim: H, slidingWindow, queryPreAttnScalar } = config;
    const cap = must(config.attnSoftcap, "cap");
    const z = new Array<number>(T * N * H).fill(0);
    for (let n = 0; n < N; n++)
      for (let t = 0; t < T; t++) {
        const kv = Math.floor((n * K) / N) * H;
        const keys = Array.from({ length: T }, (_, s) => s).filter((s) => s <= t && s > t - slidingWindow);
        const weights = keys.map((s) => {
          let score = 0;
          for (let h = 0; h < H; h++) score += must(q[t * N * H + n * H + h], "q") * must(k[s * K * H + kv + h], "k");
          return Math.exp(cap * Math.tanh(score / Math.sqrt(queryPreAttnScalar) / cap));
        });
        const total = weights.reduce((a, b) => a + b, 0);
        for (const [i, s] of keys.entries())
          for (let h = 0; h < H; h++)
            z[t * N * H + n * H + h] =
              must(z[t * N * H + n * H + h], "z") + (must(weights[i], "w") / total) * must(v[s * K * H + kv + h], "v");
      }
    return z;
  }

  it("equals attention with repeated keys and values, prompt by prompt", () => {
    const T = 5;
    const [q, k, v] = [normal(2 * T, 16), normal(2 * T, 8), normal(2 * T, 8)];
    const mask = attentionMask(config, "sliding", [0, 1, 2, 3, 4], T);
    const group = {
      q_RZ: tf.tensor2d(q, [2 * T, 16]),
      k_UJ: tf.tensor2d(k, [2 * T, 8]),
      v_UJ: tf.tensor2d(v, [2 * T, 8]),
      batch: 2,
    };
    const expected = [0, 1].flatMap((b) =>
      naive(
        q.slice(b * T * 16, (b + 1) * T * 16),
        k.slice(b * T * 8, (b + 1) * T * 8),
        v.slice(b * T * 8, (b + 1) * T * 8),
        T,
      ),
    );
    expect(values(attentionCore(config, group, mask, AUTODIFF_RULES))).toBeAllclose(expected, { rtol: 1e-6 });
  });

  it("gives the last queries the same bits alone as among all queries", () => {
    const T = 6;
    const [q, k, v] = [normal(T, 16), normal(T, 8), normal(T, 8)];
    const core = (from: number): number[] => {
      const positions = Array.from({ length: T - from }, (_, i) => from + i);
      const group = {
        q_RZ: tf.tensor2d(q.slice(from * 16), [T - from, 16]),
        k_UJ: tf.tensor2d(k, [T, 8]),
        v_UJ: tf.tensor2d(v, [T, 8]),
        batch: 1,
      };
      return values(attentionCore(config, group, attentionMask(config, "full", positions, T), AUTODIFF_RULES));
    };
    expect(core(4)).toEqual(core(0).slice(4 * 16));
  });
});

describe("backward rules of a layer", () => {
  const matrix = (rows: number, columns: number): tf.Tensor => tf.tensor2d(normal(rows, columns), [rows, columns]);
  const gain = (): tf.Tensor => tf.ones([6]);
  const weights = () => ({
    inputGain_D: gain(),
    query_DZ: matrix(6, 16),
    key_DJ: matrix(6, 8),
    value_DJ: matrix(6, 8),
    output_ZD: matrix(16, 6),
    postAttentionGain_D: gain(),
    preMlpGain_D: gain(),
    gate_DM: matrix(6, 10),
    up_DM: matrix(6, 10),
    down_MD: matrix(10, 6),
    postMlpGain_D: gain(),
  });

  it("are asked at every norm, nonlinearity, product and pattern", () => {
    const calls: string[] = [];
    const rules: BackwardRules = {
      normScale: (scale) => (calls.push("norm"), scale),
      nonlinearity: (x, apply) => (calls.push("nonlinearity"), apply(x)),
      product: (a, b) => (calls.push("product"), tf.mul(a, b)),
      pattern: (pattern) => (calls.push("pattern"), pattern),
    };
    const context: LayerContext = { config, weights: weights(), kind: "full", rules, products: computeProducts };
    const h = matrix(3, 6);
    afterAttention(context, h, attend(context, h, wholeFrame(config, 1, 3)));
    expect(calls).toEqual(["norm", "nonlinearity", "pattern", "norm", "norm", "nonlinearity", "product", "norm"]);
  });

  it("change the gradient and not the value: with the pattern held constant, values alone carry it", () => {
    const constant = (x: tf.Tensor): tf.Tensor => tf.tensor(x.dataSync(), x.shape);
    const layer = weights();
    const h = matrix(3, 6);
    const frame = wholeFrame(config, 1, 3);
    const run = (rules: BackwardRules): { value: number[]; gradient: number[] } => {
      const context: LayerContext = { config, weights: layer, kind: "full", rules, products: computeProducts };
      const f = (x: tf.Tensor): tf.Tensor => attend(context, x, frame);
      return { value: values(f(h)), gradient: values(tf.grad(f)(h, tf.ones([3, 16]))) };
    };
    const [plain, held] = [run(AUTODIFF_RULES), run({ ...AUTODIFF_RULES, pattern: constant })];
    expect(held.value).toEqual(plain.value);
    expect(held.gradient).not.toBeAllclose(plain.gradient);
    const still = { ...AUTODIFF_RULES, pattern: constant, normScale: constant };
    const [gradient, doubled] = [
      run(still).gradient,
      run({ ...still, pattern: (p) => tf.mul(constant(p), 2) }).gradient,
    ];
    expect(doubled).toBeAllclose(
      gradient.map((g) => 2 * g),
      { rtol: 1e-6 },
    );
  });
});
