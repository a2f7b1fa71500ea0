/** @file The attention kernel against the composed definition, value and gradient. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { AUTODIFF_RULES, type BackwardRules } from "../../src/model/backward-rules.js";
import { ATTENTION_MOST_KEYS } from "../../src/model/attention-limit.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { attentionCase, type AttentionCase } from "./attention-case.js";
import { TEST_BACKEND } from "./test-backend.js";
import "./matchers.js";

/** Equal rules that are not the ones the kernel stands for: what they give is composed. */
const COMPOSED = { ...AUTODIFF_RULES };

const USUAL: AttentionCase = { batch: 3, T: 7, S: 7, heads: [4, 2], headDim: 16, cap: 50 };
const CASES: (AttentionCase & { readonly name: string })[] = [
  { ...USUAL, name: "grouped queries" },
  { ...USUAL, name: "a sliding window", window: 3 },
  { ...USUAL, name: "no cap", cap: null },
  { ...USUAL, name: "a cap that scores reach", cap: 1.5 },
  { ...USUAL, name: "one query row", T: 1 },
  { ...USUAL, name: "one query row of one prompt with one key", batch: 1, T: 1, S: 1 },
  { ...USUAL, name: "the last rows of a prompt", T: 3, window: 4 },
  { ...USUAL, name: "heads that are no multiple of a vector", headDim: 78, heads: [6, 2] },
  { ...USUAL, name: "heads narrower than a vector", headDim: 6, heads: [3, 3] },
  { ...USUAL, name: "eight query heads for a kv head", heads: [8, 1], window: 4 },
  { ...USUAL, name: "2b's heads", headDim: 256, heads: [8, 4] },
  { ...USUAL, name: "as many keys as the kernel takes", T: 20, S: ATTENTION_MOST_KEYS, window: 17, heads: [4, 1] },
  { ...USUAL, name: "more keys than that", T: 5, S: ATTENTION_MOST_KEYS + 1 },
];

/** What heads read, and the gradients of queries, keys and values for a gradient that differs from element to element. */
function attended(of: AttentionCase, rules: BackwardRules): Float32Array[] {
  return tf.tidy(() => {
    const { core, inputs } = attentionCase(of, rules);
    const value = core(...inputs);
    const gradients = tf.grads(core)(inputs, tf.add(tf.mul(value, value), 0.3));
    return [value, ...gradients].map((tensor) => tensor.dataSync<"float32">());
  });
}

const largest = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

describe("attention in one kernel", () => {
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
  });

  it.each(CASES)("computes what the composed definition does, value and gradients: $name", (of) => {
    const composed = attended(of, COMPOSED);
    attended(of, AUTODIFF_RULES).forEach((values, i) => {
      const expected = must(composed[i], "values");
      expect(values).toBeAllclose(expected, { rtol: 1e-5, atol: 3e-6 * largest(expected) });
    });
  });

  it("leaves no tensors behind", () => {
    const before = tf.memory().numTensors;
    attended(USUAL, AUTODIFF_RULES);
    expect(tf.memory().numTensors).toBe(before);
  });
});
