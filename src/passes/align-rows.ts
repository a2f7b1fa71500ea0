/** @file Rows of corrupted runs in the places of the clean rows that they stand for, where prompts have spans (nodes/span.ts). */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { Prompt } from "../nodes/prompt.js";
import { counterparts } from "../nodes/span.js";

/** Whether corrupted rows stand in other places than clean ones. */
export function needsAlignment(prompts: readonly Prompt[]): boolean {
  return prompts.some(({ spans }) => spans !== undefined);
}

/** For each clean row the row that stands for it, in a table of all clean rows followed by all corrupted ones. */
export function alignedIndex(prompts: readonly Prompt[]): Int32Array {
  const [T, own] = [
    must(prompts[0], "prompt").clean.length,
    must(prompts[0]?.corrupted ?? undefined, "corrupted").length,
  ];
  const index = new Int32Array(prompts.length * T);
  prompts.forEach((prompt, p) => {
    counterparts(prompt).forEach((token, t) => {
      index[p * T + t] = token < 0 ? p * T + t : prompts.length * T + p * own + token;
    });
  });
  return index;
}

/** Corrupted rows in the places of the clean ones, and the clean ones where there are none, `[R, D]`. Owner: caller. */
export function alignRows(clean_RD: Tensor, corrupted_RD: Tensor, index: Int32Array): Tensor {
  return tf.tidy(() => tf.gather(tf.concat([clean_RD, corrupted_RD]), tf.tensor1d(index, "int32")));
}
