/**
 * @file The metric `m = reduce(logit[incorrect]) - logit[correct]` at the answer position, on the host in float64.
 *
 * The device only gives logits of the block's answer tokens; which of them count, and with which sign, is decided here,
 * so a maximum over incorrect answers needs no gradient of its own: its gradient is a coefficient for each logit.
 * Source: REFERENCE 4.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { MetricReduce, Prompt } from "../nodes/prompt.js";
import type { EmbeddingTable } from "./embedding.js";

/** Answer tokens of a block of prompts. */
export interface Answers {
  /** Distinct token ids, ascending: the columns. A of them. */
  readonly ids: readonly number[];
  /** Unembedding columns. Owner: whoever called {@link loadAnswers}. */
  readonly unembed_DA: Tensor;
  /** For each prompt the column of its correct answer. */
  readonly correct: readonly number[];
  /** For each prompt the columns of its incorrect answers. */
  readonly incorrect: readonly (readonly number[])[];
  readonly reduce: MetricReduce;
  dispose(): void;
}

/** Collects the answer tokens of the prompts. Owner: caller. */
export async function loadAnswers(
  table: EmbeddingTable,
  prompts: readonly Pick<Prompt, "correct" | "incorrect">[],
  reduce: MetricReduce,
): Promise<Answers> {
  const ids = [...new Set(prompts.flatMap((prompt) => [prompt.correct, ...prompt.incorrect]))].sort((a, b) => a - b);
  const columns = new Map(ids.map((id, column) => [id, column]));
  const column = (id: number): number => must(columns.get(id), "answer column");
  const rows = await table.rows(ids);
  const unembed_DA = tf.tidy(() => tf.transpose(tf.tensor2d(rows, [ids.length, rows.length / ids.length])));
  return {
    ids,
    unembed_DA,
    correct: prompts.map((prompt) => column(prompt.correct)),
    incorrect: prompts.map((prompt) => prompt.incorrect.map(column)),
    reduce,
    dispose: () => {
      unembed_DA.dispose();
    },
  };
}

/** The column of the incorrect answer with the largest logit; ties go to the one listed first. */
function largest(logits: ArrayLike<number>, offset: number, columns: readonly number[]): number {
  return columns.reduce((best, column) =>
    logitAt(logits, offset + column) > logitAt(logits, offset + best) ? column : best,
  );
}

const logitAt = (logits: ArrayLike<number>, index: number): number => must(logits[index], "logit");

/**
 * The metric of one row.
 *
 * @param logits `[rows, A]`, flat.
 * @param row which row.
 * @param prompt whose answers: index into the prompts of `answers`.
 */
export function metricOf(logits: ArrayLike<number>, row: number, answers: Answers, prompt: number): number {
  const offset = row * answers.ids.length;
  const incorrect = must(answers.incorrect[prompt], "prompt");
  const correct = logitAt(logits, offset + must(answers.correct[prompt], "prompt"));
  if (answers.reduce === "max") return logitAt(logits, offset + largest(logits, offset, incorrect)) - correct;
  return incorrect.reduce((sum, column) => sum + logitAt(logits, offset + column), 0) - correct;
}

/** Metrics of rows that belong to the prompts in order, `[B]`. */
export function metricsOf(logits: ArrayLike<number>, answers: Answers): Float64Array {
  return Float64Array.from(answers.correct, (_, prompt) => metricOf(logits, prompt, answers, prompt));
}

/**
 * `dm / dlogits` for each prompt, `[B, A]` flat: the gradient of the sum of all metrics, so that a prompt's gradient does
 * not depend on how many there are.
 */
export function metricCoefficients(logits: ArrayLike<number>, answers: Answers): Float32Array {
  const A = answers.ids.length;
  const coefficients = new Float32Array(answers.correct.length * A);
  const add = (index: number, value: number): void => {
    coefficients[index] = logitAt(coefficients, index) + value;
  };
  for (const [prompt, incorrect] of answers.incorrect.entries()) {
    const offset = prompt * A;
    const chosen = answers.reduce === "max" ? [largest(logits, offset, incorrect)] : incorrect;
    for (const column of chosen) add(offset + column, 1);
    add(offset + must(answers.correct[prompt], "prompt"), -1);
  }
  return coefficients;
}
