/** @file What the attention kernel promises about bits. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { sha256 } from "../../src/base/hash.js";
import { AUTODIFF_RULES } from "../../src/model/backward-rules.js";
import { TorchBackend } from "../../src/backends/torch-backend.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { attentionCase, type AttentionCase } from "../numeric/attention-case.js";
import { OWN_KERNELS } from "../numeric/test-backend.js";

const MANY: AttentionCase = { batch: 16, T: 7, S: 7, heads: [8, 4], headDim: 64, cap: 50 };

describe.runIf(OWN_KERNELS)("the attention kernel", () => {
  beforeAll(async () => {
    await startBackend("torch");
  });

  it("gives the same bits on any number of threads", () => {
    const { addon } = must(TorchBackend.of(tf.backend()), "the torch backend");
    const run = (threads: number): string[] => {
      addon.setThreads(threads);
      expect(addon.threads()).toBe(threads);
      return tf.tidy(() => {
        const { core, inputs } = attentionCase(MANY, AUTODIFF_RULES);
        const value = core(...inputs);
        const all = [value, ...tf.grads(core)(inputs, value)];
        return all.map((tensor) => sha256(new Uint8Array(tensor.dataSync<"float32">().buffer)));
      });
    };
    const alone = run(1);
    for (const threads of [2, 3, 5]) expect(run(threads)).toEqual(alone);
    addon.setThreads(1);
  });

  it("gives a query the same bits with and without the other queries and prompts", () => {
    const width = MANY.heads[0] * MANY.headDim;
    const { core, inputs } = attentionCase(MANY, AUTODIFF_RULES);
    const [q, k, v] = inputs as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
    const last = (x: tf.Tensor, rows: number): tf.Tensor => tf.slice(x, [must(x.shape[0], "rows") - rows, 0]);
    const one = attentionCase({ ...MANY, batch: 1, T: 1 }, AUTODIFF_RULES).core(
      last(q, 1),
      last(k, MANY.S),
      last(v, MANY.S),
    );
    expect(one.shape).toEqual([1, width]);
    expect(one.dataSync()).toEqual(last(core(...inputs), 1).dataSync());
  });

  it.each([50, null])("passes on a query that is not a number, in its own row only, with a cap of %s", (cap) => {
    const { core } = attentionCase({ ...MANY, cap, batch: 1, T: 2, S: 2, heads: [1, 1], headDim: 8 }, AUTODIFF_RULES);
    const ones = tf.ones([2, 8]);
    const broken = tf.tensor2d(
      Float32Array.from({ length: 16 }, (_, i) => (i < 8 ? 1 : Number.NaN)),
      [2, 8],
    );
    expect(core(broken, ones, ones).dataSync()).toEqual(broken.dataSync());
  });
});
