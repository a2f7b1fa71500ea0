/**
 * @file Circuit evaluation: the metric of every prompt under every intervention.
 *
 * 1. Rows are (evaluation, side, prompt); all clean prompts of an evaluation, then all corrupted ones.
 * 2. Every site where an evaluation changes something is changed from its live (already changed) activation: by the SAE's
 *    splice, or slice by slice where circuits do without SAEs.
 * 3. Ablated nodes take the mean, zero, or the donor's unablated run (clean rows the run that is given as its clean one, corrupted
 *    rows the other); restored nodes take the same prompt's unablated run.
 * 4. What an evaluation leaves as it is, layers and positions before its first change, is computed once for all evaluations.
 * 5. An evaluation that comes to the same for every prompt, as the empty circuit and small ones do, has one row.
 *
 * Source: REFERENCE 5.
 */
import * as tf from "@tensorflow/tfjs-core";
import { assert, must, unreachable } from "../../base/assert.js";
import type { PatchbayError } from "../../base/errors.js";
import { RESTORED, type Intervention } from "../../nodes/intervention.js";
import { hasNodes } from "../../nodes/node-states.js";
import { SIDES, type MetricReduce, type Prompt, type Side } from "../../nodes/prompt.js";
import { siteHook } from "../../nodes/site.js";
import { sharedRows } from "../../nodes/token-rows.js";
import { startBlock } from "../../model/forward.js";
import { flatRows } from "../../model/layer.js";
import { loadAnswers, metricOf } from "../../model/metric.js";
import { readAndDispose } from "../../model/read-tensor.js";
import { withScope } from "../../model/tensor-scope.js";
import { breathe, type OnProgress } from "../../passes/breathe.js";
import { captureRuns, idsOf, type Run } from "../../passes/capture.js";
import { runCircuitBlock } from "./circuit-block.js";
import { forgetsPrompt, type Segment } from "./circuit-rows.js";
import { firstChange, orderedBlocks, sparesRun } from "./first-change.js";
import { Unablated } from "./unablated.js";
import type { CircuitContext } from "./circuit-splice.js";
import { nonFinite } from "../../passes/non-finite.js";
import type { SplicedModel } from "../../passes/spliced-model.js";
import type { CircuitsResult } from "./payload.js";
import type { Means } from "../../artifacts/means-file.js";

/** What ablated nodes are set to. Donors are aligned with the prompts and of their length. */
export type AblationValues =
  | { readonly kind: "mean"; readonly means: Means }
  | { readonly kind: "zero" }
  | { readonly kind: "resample"; readonly donors: readonly Prompt[] }
  /** The corrupted runs of pairs, their tokens in the places of the clean ones. */
  | { readonly kind: "counterparts"; readonly pairs: readonly Prompt[] };

/** Ablations that set a node to the same value in every row. */
const TO_ONE_VALUE: ReadonlySet<AblationValues["kind"]> = new Set(["mean", "zero"]);

/** What is evaluated. */
export interface CircuitsRequest {
  readonly reduce: MetricReduce;
  /** An empty one is the unablated run. */
  readonly interventions: readonly Intervention[];
  readonly ablation: AblationValues;
  /** Most rows at once. */
  readonly rowsPerBlock: number;
  /** The side of their pairs that prompts without a corrupted run are, for errors; left out, the clean one. */
  readonly side?: Side | undefined;
  /** False computes equal rows once for each prompt and side. */
  readonly share?: boolean;
  /** Told rows done and to do. */
  readonly onProgress?: OnProgress | undefined;
}

/**
 * Metric `m` of every prompt and side under every intervention.
 *
 * @param prompts all of one length, all with or all without a corrupted run.
 * @throws PatchbayError `non_finite` naming the evaluation's index, the side and the prompt's line.
 */
export async function computeCircuits(
  spliced: SplicedModel,
  prompts: readonly Prompt[],
  { reduce, interventions, ablation, rowsPerBlock, side, share = true, onProgress }: CircuitsRequest,
): Promise<CircuitsResult> {
  const { model } = spliced;
  const sides = sidesOf(prompts);
  return await withScope(async (own) => {
    const answers = own(await loadAnswers(model.embedding, prompts, reduce));
    // Donors run under their prompts' answers: only activations are used.
    const runsOf = async (some: readonly Prompt[], asked: readonly Side[] = sides): Promise<Run[]> =>
      (await captureRuns(model, some, asked, answers, { share })).map(own);
    const ids = sides.flatMap((side) => idsOf(prompts, side));
    const rows = share ? sharedRows(ids) : null;
    const { resid_RD, frame } = await startBlock(model, ids, rows);
    own(frame);
    const embedded_RD = own(tf.tidy(() => flatRows(own(resid_RD), frame)));
    const residHooks = spliced.saes.filter(({ site }) => site === "resid_post").map(siteHook);
    const runs = interventions.map((one) =>
      TO_ONE_VALUE.has(ablation.kind) && forgetsPrompt(one, residHooks) ? 1 : ids.length,
    );
    const size = { nLayers: model.config.nLayers, positions: must(ids[0], "prompt").length, runs, rows: ids.length };
    const changes = interventions.map((one) => firstChange(one, size));
    const restores = interventions.some((one) => hasNodes(one, RESTORED));
    const unablated = restores || sparesRun(changes, size) ? await runsOf(prompts) : null;
    const context: CircuitContext = {
      spliced,
      interventions,
      ...(await ablatedValues(ablation, runsOf)),
      unablated,
      base: unablated === null ? null : own(new Unablated(unablated, frame)),
      changes,
      embedded_RD,
      answers,
      positions: size.positions,
      rows: TO_ONE_VALUE.has(ablation.kind) ? rows : null,
    };
    const blocks = orderedBlocks(changes, runs, rowsPerBlock);
    const schedule = { blocks, runs, rows: ids.length, firstSide: side === "corrupted" ? 1 : 0 };
    return { metric: await runBlocks(context, prompts, schedule, onProgress) };
  });
}

/** Where a block takes the values of ablated nodes from; `runsOf` makes the donors' runs. */
async function ablatedValues(
  ablation: AblationValues,
  runsOf: (donors: readonly Prompt[], sides?: readonly Side[]) => Promise<Run[]>,
): Promise<Pick<CircuitContext, "means" | "donors">> {
  switch (ablation.kind) {
    case "mean":
      return { means: ablation.means, donors: null };
    case "zero":
      return { means: null, donors: null };
    case "resample":
      return { means: null, donors: await runsOf(ablation.donors) };
    case "counterparts":
      return { means: null, donors: (await runsOf(ablation.pairs, SIDES)).slice(1) };
    default:
      return unreachable(ablation);
  }
}

/** What is run for the results of a call. */
interface Schedule {
  readonly blocks: readonly (readonly Segment[])[];
  /** How often each evaluation is run: for every result, or once for all of them. */
  readonly runs: readonly number[];
  /** Results of each evaluation: sides x prompts. */
  readonly rows: number;
  /** Index of the first of these sides. */
  readonly firstSide: number;
}

async function runBlocks(
  context: CircuitContext,
  prompts: readonly Prompt[],
  { blocks, runs, rows, firstSide }: Schedule,
  onProgress?: OnProgress,
): Promise<Float64Array> {
  const metric = new Float64Array(runs.length * rows);
  let done = 0;
  for (const segments of blocks) {
    onProgress?.(done, metric.length);
    await breathe();
    const logits = await readAndDispose(await runCircuitBlock(context, segments));
    let first = 0;
    for (const { evaluation, start, count } of segments) {
      const once = runs[evaluation] !== rows;
      const results = once ? rows : count;
      for (let r = start; r < start + results; r++) {
        const value = metricOf(logits, once ? first : first + r - start, context.answers, r % prompts.length);
        if (!Number.isFinite(value)) throw nonFiniteMetric(evaluation, prompts, firstSide * prompts.length + r, value);
        metric[evaluation * rows + r] = value;
      }
      first += count;
      done += results;
    }
  }
  onProgress?.(done, metric.length);
  return metric;
}

/** @param row of the evaluation: all clean prompts, then all corrupted ones. */
function nonFiniteMetric(evaluation: number, prompts: readonly Prompt[], row: number, value: number): PatchbayError {
  const side = must(SIDES[Math.floor(row / prompts.length)], "side");
  const prompt = must(prompts[row % prompts.length], "prompt");
  return nonFinite({ quantity: `metric of evaluation ${String(evaluation)}`, at: null, side, prompt, value });
}

/** Clean and corrupted, or clean alone for a plain dataset. */
function sidesOf(prompts: readonly Prompt[]): Side[] {
  const pairs = prompts.filter((prompt) => prompt.corrupted !== null).length;
  assert(pairs === 0 || pairs === prompts.length, "either every prompt has a corrupted run or none has");
  return SIDES.slice(0, pairs === 0 ? 1 : 2);
}
