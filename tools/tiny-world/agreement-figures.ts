/** @file How well the trained model agrees, and how its metric spreads: figures of one set of pairs, by the engine itself. */
import { must } from "../../src/base/assert.js";
import type { Prompt } from "../../src/nodes/prompt.js";
import { answerLogits, forward } from "../../src/model/forward.js";
import { loadAnswers, metricsOf } from "../../src/model/metric.js";
import type { Model } from "../../src/model/model.js";
import { errorLogOdds } from "./error-model.js";
import { innerAgreement, mainAgreement } from "./grammar.js";
import type { Pair } from "./pairs.js";
import { TOKEN_IDS, wordId, type Bpe } from "./tokenizer-files.js";

/** Figures of the clean side: `m = logit[incorrect] - logit[correct]`. */
export interface AgreementFigures {
  readonly pairs: number;
  /** Share of pairs whose correct answer has the larger logit. */
  readonly accuracy: number;
  readonly mean: number;
  /** Sample standard deviation over pairs. */
  readonly sd: number;
  /** Pearson correlation of `m` with the log-odds of an error in the text the model learnt from. */
  readonly correlation: number;
}

const PROMPTS_PER_BLOCK = 64;

/** Runs the clean prompts of a family's pairs (all of one length). */
export async function measureAgreement(model: Model, bpe: Bpe, pairs: readonly Pair[]): Promise<AgreementFigures> {
  const metrics: number[] = [];
  for (let from = 0; from < pairs.length; from += PROMPTS_PER_BLOCK) {
    const block = pairs.slice(from, from + PROMPTS_PER_BLOCK).map((pair, i) => promptOf(bpe, pair, from + i + 1));
    metrics.push(...(await blockMetrics(model, block)));
  }
  const expected = pairs.map(({ plan }) =>
    errorLogOdds(plan.family === "within_rc" ? innerAgreement(plan) : mainAgreement(plan)),
  );
  return {
    pairs: pairs.length,
    accuracy: metrics.filter((m) => m < 0).length / metrics.length,
    mean: mean(metrics),
    sd: Math.sqrt(covariance(metrics, metrics)),
    correlation:
      covariance(metrics, expected) / Math.sqrt(covariance(metrics, metrics) * covariance(expected, expected)),
  };
}

async function blockMetrics(model: Model, prompts: readonly Prompt[]): Promise<Float64Array> {
  const answers = await loadAnswers(model.embedding, prompts, "max");
  const resid_RD = await forward(
    model,
    prompts.map(({ clean }) => clean),
  );
  const logits_BA = answerLogits(model, resid_RD, prompts.length, answers);
  const metrics = metricsOf(logits_BA.dataSync<"float32">(), answers);
  resid_RD.dispose();
  logits_BA.dispose();
  answers.dispose();
  return metrics;
}

/** A pair as token ids. Every word is one token, so no row can be dropped. */
function promptOf(bpe: Bpe, { row }: Pair, line: number): Prompt {
  const ids = (text: string): number[] => text.split(" ").map((word) => wordId(bpe, word));
  return {
    line,
    clean: [TOKEN_IDS.bos, ...ids(row.clean_prefix)],
    corrupted: [TOKEN_IDS.bos, ...ids(row.patch_prefix)],
    correct: wordId(bpe, row.clean_answer.trim()),
    incorrect: [wordId(bpe, row.patch_answer.trim())],
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Sample covariance (ddof 1). */
function covariance(x: readonly number[], y: readonly number[]): number {
  const [meanX, meanY] = [mean(x), mean(y)];
  const products = x.map((value, i) => (value - meanX) * (must(y[i], "value") - meanY));
  return products.reduce((sum, product) => sum + product, 0) / (x.length - 1);
}
