/**
 * @file True activation patching of many nodes on a block of prompts.
 *
 * 1. Run the prompts clean and corrupted once, keeping what patched runs reuse.
 * 2. Compute the nodes' deltas; rows whose delta is exactly zero are not run, their effect is exactly 0.
 * 3. Run the other rows in blocks, all layers in step (`truth-block.ts`).
 *
 * Exact, not an approximation: everything downstream of a patch is recomputed. Source: REFERENCE 4.
 */
import { setImmediate } from "node:timers/promises";
import { must } from "../base/assert.js";
import { PatchbayError } from "../base/errors.js";
import { hookOf, type Node } from "../circuit/node.js";
import type { MetricReduce, Prompt, Side } from "../circuit/prompt.js";
import { answerLogits } from "../model/forward.js";
import { loadAnswers, metricOf, metricsOf, type Answers } from "../model/metric.js";
import type { Model } from "../model/model.js";
import type { TruthResult } from "./results.js";
import type { SplicedModel } from "./spliced-model.js";
import { runTruthBlock, type TruthContext } from "./truth-block.js";
import { computeDeltas } from "./truth-deltas.js";
import { truthBlocks, truthRows, type TruthBlock } from "./truth-rows.js";
import { unpatchedRun, type UnpatchedRun } from "./truth-runs.js";

/** Called between blocks with patched runs done and to do. */
export type Progress = (done: number, total: number) => void;

/**
 * Metrics of every prompt with every node patched from its corrupted run.
 *
 * @param prompts all of one length, each with a corrupted run.
 * @param nodes slots; null where a slot is empty.
 * @param rowsPerBlock most patched runs at once.
 * @throws non_finite where a metric is NaN or infinite; it names the node and the prompt's line.
 */
export async function computeTruth(
  spliced: SplicedModel,
  prompts: readonly Prompt[],
  reduce: MetricReduce,
  nodes: readonly (Node | null)[],
  rowsPerBlock: number,
  onProgress?: Progress,
): Promise<TruthResult> {
  const owned: { dispose(): void }[] = [];
  const own = <T extends { dispose(): void }>(one: T): T => {
    owned.push(one);
    return one;
  };
  try {
    const { model } = spliced;
    const positions = must(prompts[0], "prompt").clean.length;
    const size = { prompts: prompts.length, positions, nLayers: model.layers.length };
    const answers = own(await loadAnswers(model.embedding, prompts, reduce));
    const clean = own(await unpatchedRun(model, sideOf(prompts, "clean")));
    const corrupted = own(await unpatchedRun(model, sideOf(prompts, "corrupted")));
    const metricClean = await unpatchedMetrics(model, clean, answers, prompts, "clean");
    const metricCorrupted = await unpatchedMetrics(model, corrupted, answers, prompts, "corrupted");
    const deltas = own(await computeDeltas({ spliced, clean, corrupted, nodes, ...size }));
    const result = { metricClean, metricCorrupted, ...unrun(metricClean, nodes.length) };
    const rows = truthRows(nodes, size, deltas.differs);
    const context: TruthContext = { model, clean, deltas, answers, positions };
    let done = 0;
    for (const block of truthBlocks(rows, rowsPerBlock)) {
      onProgress?.(done, rows.length);
      await setImmediate();
      await runBlock(context, block, prompts, result, nodes.length);
      done += block.rows.length;
    }
    onProgress?.(done, rows.length);
    return result;
  } finally {
    for (const one of owned) one.dispose();
  }
}

function sideOf(prompts: readonly Prompt[], side: Side): (readonly number[])[] {
  return prompts.map((prompt) => must(prompt[side], `the ${side} prompt`));
}

/** Results as they are before any row has run: every effect exactly 0. */
function unrun(metricClean: Float64Array, slots: number): { metricPatched: Float64Array; ran: Uint8Array } {
  const metricPatched = Float64Array.from(
    { length: metricClean.length * slots },
    (_, i) => metricClean[Math.floor(i / slots)] ?? NaN,
  );
  return { metricPatched, ran: new Uint8Array(metricPatched.length) };
}

async function unpatchedMetrics(
  model: Model,
  run: UnpatchedRun,
  answers: Answers,
  prompts: readonly Prompt[],
  side: Side,
): Promise<Float64Array> {
  const last = must(run.layers[run.layers.length - 1], "layer");
  const logits = answerLogits(model, last.resid_post, prompts.length, answers);
  const metrics = metricsOf(await logits.data(), answers);
  logits.dispose();
  for (const [i, metric] of metrics.entries()) {
    if (Number.isFinite(metric)) continue;
    const line = must(prompts[i], "prompt").line;
    throw new PatchbayError(
      "non_finite",
      `the metric of the ${side} run of the prompt in line ${String(line)} is ${String(metric)}`,
    );
  }
  return metrics;
}

async function runBlock(
  context: TruthContext,
  block: TruthBlock,
  prompts: readonly Prompt[],
  result: { readonly metricPatched: Float64Array; readonly ran: Uint8Array },
  slots: number,
): Promise<void> {
  const logits = runTruthBlock(context, block);
  const values = await logits.data();
  logits.dispose();
  for (const [r, { prompt, slot, node }] of block.rows.entries()) {
    const metric = metricOf(values, r, context.answers, prompt);
    if (!Number.isFinite(metric)) {
      const where = `${hookOf(node)} at position ${String(node.position)}, prompt in line ${String(must(prompts[prompt], "prompt").line)}`;
      throw new PatchbayError("non_finite", `the metric with ${where} patched is ${String(metric)}`);
    }
    result.metricPatched[prompt * slots + slot] = metric;
    result.ran[prompt * slots + slot] = 1;
  }
}
