/** @file The card of a set of trained SAEs: card.json for programs, card.md for people. No times and nothing of the machine. */
import { siteHook } from "../nodes/site.js";
import { CONTEXT, type TrainingText } from "./training-text.js";
import type { SaeSettings, TrainedSaes } from "./train-saes.js";

/** What a card says beside the figures. */
export interface CardSubject {
  /** SHA-256 of the model's files and of the text's documents. */
  readonly fingerprints: { readonly model: string; readonly text: string };
  readonly settings: SaeSettings;
  readonly text: Pick<TrainingText, "trainingTokens" | "heldOutTokens">;
}

/** The card as JSON. `folders` are the SAEs' in order. */
export function cardJson(subject: CardSubject, trained: TrainedSaes, folders: readonly string[]): unknown {
  const { fingerprints, settings, text } = subject;
  return {
    version: 1,
    fingerprints,
    training: {
      context: CONTEXT,
      tokens: trained.tokens,
      steps: trained.steps,
      text_tokens: text.trainingTokens,
      held_out_tokens: text.heldOutTokens,
      buffer_rows: settings.bufferRows,
      block_tokens: settings.blockTokens,
      batch_rows: settings.batchRows,
      ...settings.training,
    },
    saes: trained.saes.map(({ at, weights, figures }, i) => ({
      hook: siteHook(at),
      site: at.site,
      layer: at.layer,
      width: weights.dSae,
      folder: folders[i],
      rows: figures.rows,
      fvu: figures.fvu,
      median_fvu: figures.medianFvu,
      l0: figures.l0,
      largest_l0: figures.largestL0,
      dead: figures.dead,
    })),
    curve: trained.curve,
  };
}

/** The card as Markdown. */
export function cardText(subject: CardSubject, trained: TrainedSaes, folders: readonly string[]): string {
  const { settings, text, fingerprints } = subject;
  const { dSae, targetL0, seed, peakLearningRate, bandwidth } = settings.training;
  const rows = trained.saes.map(({ at, figures }, i) => {
    const { fvu, medianFvu, l0, largestL0, dead } = figures;
    const cells = [fvu.toFixed(3), medianFvu.toFixed(3), l0.toFixed(1), String(largestL0), String(dead)];
    return `| ${[siteHook(at), ...cells, `\`${folders[i] ?? ""}\``].join(" | ")} |`;
  });
  return `# Sparse autoencoders

JumpReLU, ${count(dSae)} features each, in Gemma Scope's layout, trained by \`patchbay train-saes\` on ${count(trained.tokens)} tokens
(${count(text.trainingTokens)} of them before any repeats) in ${count(trained.steps)} steps of about ${count(settings.batchRows)} tokens: Adam, peak learning rate ${peakLearningRate}, kernel width
${bandwidth}; the price of a firing feature is steered for an L0 of ${targetL0}. Sequences have at most ${CONTEXT} tokens. Seed ${seed}.
BOS and padding take no part in training or figures.

Figures are of ${count(text.heldOutTokens)} held-out tokens of the same text. FVU is the fraction of variance unexplained, "median" the median over
tokens of their own; a few tokens with huge activations can decide the former. A dead feature fires on none of these tokens.

| site | FVU | median | L0 | largest L0 | dead | folder |
| --- | --- | --- | --- | --- | --- | --- |
${rows.join("\n")}

Model ${fingerprints.model.slice(0, 12)}, text ${fingerprints.text.slice(0, 12)} (SHA-256).
`;
}

const count = (value: number): string => value.toLocaleString("en");
