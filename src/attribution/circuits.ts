/**
 * @file Circuit evaluation: the metric of every prompt under every intervention.
 *
 * 1. Rows are (evaluation, side, prompt); all clean prompts of an evaluation, then all corrupted ones.
 * 2. Every site where an evaluation changes something is changed from its live (already changed) activation: by the SAE's
 *    splice, or slice by slice where circuits do without SAEs.
 * 3. Ablated nodes take the mean, zero, or the donor's unablated run (clean rows its clean run, corrupted rows its corrupted
 *    one); restored nodes take the same prompt's unablated run.
 *
 * Source: REFERENCE 5.
 */
import { assert, must } from "../base/assert.js";
import { RESTORED, type Intervention } from "../circuit/intervention.js";
import { countNodes } from "../circuit/node-states.js";
import { SIDES, type MetricReduce, type Prompt, type Side } from "../circuit/prompt.js";
import { startBlock } from "../model/forward.js";
import { loadAnswers, metricOf, type Answers } from "../model/metric.js";
import type { Model } from "../model/model.js";
import { readAndDispose } from "../model/read-tensor.js";
import { withScope, type Own } from "../model/tensor-scope.js";
import { breathe, type OnProgress } from "./breathe.js";
import { captureRuns, idsOf, type Run } from "./capture.js";
import { runCircuitBlock } from "./circuit-block.js";
import { circuitBlocks } from "./circuit-rows.js";
import type { Means } from "./circuit-site-work.js";
import type { CircuitContext } from "./circuit-splice.js";
import { nonFinite } from "./non-finite.js";
import type { CircuitsResult } from "./results.js";
import type { SplicedModel } from "./spliced-model.js";

/** What ablated nodes are set to. Donors are aligned with the prompts and of their length. */
export type AblationValues =
  | { readonly kind: "mean"; readonly means: Means }
  | { readonly kind: "zero" }
  | { readonly kind: "resample"; readonly donors: readonly Prompt[] };

/**
 * Metric `m` of every prompt and side under every intervention.
 *
 * @param prompts all of one length, all with or all without a corrupted run.
 * @param interventions an empty one is the unablated run.
 * @param rowsPerBlock most rows at once.
 * @param onProgress told rows done and to do.
 * @throws PatchbayError `non_finite` naming the evaluation's index, the side and the prompt's line.
 */
export async function computeCircuits(
  spliced: SplicedModel,
  prompts: readonly Prompt[],
  reduce: MetricReduce,
  interventions: readonly Intervention[],
  ablation: AblationValues,
  rowsPerBlock: number,
  onProgress?: OnProgress,
): Promise<CircuitsResult> {
  const { model } = spliced;
  const sides = sidesOf(prompts);
  return await withScope(async (own) => {
    const answers = own(await loadAnswers(model.embedding, prompts, reduce));
    const ids = sides.flatMap((side) => idsOf(prompts, side));
    const { resid_RD, frame } = await startBlock(model, ids);
    frame.dispose();
    const context: CircuitContext = {
      spliced,
      interventions,
      means: ablation.kind === "mean" ? ablation.means : null,
      donors: ablation.kind === "resample" ? await unablatedRuns(model, ablation.donors, sides, answers, own) : null,
      unablated: interventions.some((one) => countNodes(one, RESTORED) > 0)
        ? await unablatedRuns(model, prompts, sides, answers, own)
        : null,
      embedded_RD: own(resid_RD),
      answers,
      positions: must(ids[0], "prompt").length,
    };
    return { metric: await runBlocks(context, prompts, ids.length, rowsPerBlock, onProgress) };
  });
}

async function runBlocks(
  context: CircuitContext,
  prompts: readonly Prompt[],
  rows: number,
  rowsPerBlock: number,
  onProgress?: OnProgress,
): Promise<Float64Array> {
  const total = context.interventions.length * rows;
  const metric = new Float64Array(total);
  let done = 0;
  for (const segments of circuitBlocks(context.interventions.length, rows, rowsPerBlock)) {
    onProgress?.(done, total);
    await breathe();
    const logits = await readAndDispose(await runCircuitBlock(context, segments));
    let row = 0;
    for (const { evaluation, start, count } of segments)
      for (let r = start; r < start + count; r++, row++) {
        const prompt = r % prompts.length;
        const value = metricOf(logits, row, context.answers, prompt);
        if (!Number.isFinite(value)) {
          const side = must(SIDES[Math.floor(r / prompts.length)], "side");
          throw nonFinite(
            `metric of evaluation ${String(evaluation)}`,
            null,
            side,
            must(prompts[prompt], "prompt"),
            value,
          );
        }
        metric[evaluation * rows + r] = value;
      }
    done += row;
  }
  onProgress?.(done, total);
  return metric;
}

/** Clean and corrupted, or clean alone for a plain dataset. */
function sidesOf(prompts: readonly Prompt[]): Side[] {
  const pairs = prompts.filter((prompt) => prompt.corrupted !== null).length;
  assert(pairs === 0 || pairs === prompts.length, "either every prompt has a corrupted run or none has");
  return SIDES.slice(0, pairs === 0 ? 1 : 2);
}

/** Unablated runs of the prompts, side by side. Donors run under their prompts' answers: only activations are used. */
async function unablatedRuns(
  model: Model,
  prompts: readonly Prompt[],
  sides: readonly Side[],
  answers: Answers,
  own: Own,
): Promise<Run[]> {
  return (await captureRuns(model, prompts, sides, answers)).map(own);
}
