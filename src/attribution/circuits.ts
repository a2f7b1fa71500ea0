/**
 * @file Circuit evaluation: the metric of every prompt under every intervention.
 *
 * 1. Rows are (evaluation, side, prompt); all clean prompts of an evaluation, then all corrupted ones.
 * 2. Every site where an evaluation changes something is spliced from the live (already changed) activation.
 * 3. Ablated nodes take the mean, zero, or the donor's unablated run (clean rows its clean run, corrupted rows its corrupted
 *    one); restored nodes take the same prompt's unablated run.
 *
 * Source: REFERENCE 5.
 */
import { setImmediate } from "node:timers/promises";
import type { Tensor } from "@tensorflow/tfjs-core";
import { assert, must } from "../base/assert.js";
import { PatchbayError } from "../base/errors.js";
import { RESTORED, type Intervention } from "../circuit/intervention.js";
import { countNodes } from "../circuit/node-states.js";
import type { MetricReduce, Prompt } from "../circuit/prompt.js";
import { siteHook, type SiteAt } from "../circuit/site.js";
import { startBlock } from "../model/forward.js";
import { loadAnswers, metricOf } from "../model/metric.js";
import { runCircuitBlock, type AblationSource, type CircuitContext } from "./circuit-block.js";
import { circuitBlocks } from "./circuit-rows.js";
import type { CircuitsResult } from "./results.js";
import type { SplicedModel } from "./spliced-model.js";
import { siteOf, unpatchedRun, type UnpatchedRun } from "./truth-runs.js";

/** Mean activations of every SAE site, keyed by site hook. Arrays may hold more positions than the prompts have. */
export interface Means {
  /** `[T, F]`. */
  readonly features: ReadonlyMap<string, Float32Array>;
  /** `[T, D]`. */
  readonly errors: ReadonlyMap<string, Float32Array>;
}

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
 * @param onProgress called between blocks with rows done and to do.
 * @throws non_finite where a metric is NaN or infinite; it names the evaluation's index and the prompt's line.
 */
export async function computeCircuits(
  spliced: SplicedModel,
  prompts: readonly Prompt[],
  reduce: MetricReduce,
  interventions: readonly Intervention[],
  ablation: AblationValues,
  rowsPerBlock: number,
  onProgress?: (done: number, total: number) => void,
): Promise<CircuitsResult> {
  const owned: { dispose(): void }[] = [];
  const own = <T extends { dispose(): void }>(one: T): T => {
    owned.push(one);
    return one;
  };
  try {
    const { model } = spliced;
    const rows = rowsOf(prompts);
    const answers = own(await loadAnswers(model.embedding, prompts, reduce));
    const { resid_RD, frame } = await startBlock(model, rows);
    frame.dispose();
    own(resid_RD);
    const restores = interventions.some((intervention) => countNodes(intervention, RESTORED) > 0);
    const unablated = restores ? own(await unpatchedRun(model, rows)) : null;
    const donors =
      ablation.kind === "resample" ? own(await unpatchedRun(model, donorRows(ablation.donors, prompts))) : null;
    const context: CircuitContext = {
      spliced,
      interventions,
      ablation: ablationSource(ablation, donors),
      unablated: (at) => (unablated === null ? null : siteOf(unablated, at)),
      gates: await gatesOf(spliced),
      embedded_RD: resid_RD,
      answers,
      positions: must(rows[0], "prompt").length,
    };
    return await runBlocks(context, prompts, rows.length, rowsPerBlock, onProgress);
  } finally {
    for (const one of owned) one.dispose();
  }
}

async function runBlocks(
  context: CircuitContext,
  prompts: readonly Prompt[],
  rows: number,
  rowsPerBlock: number,
  onProgress?: (done: number, total: number) => void,
): Promise<CircuitsResult> {
  const total = context.interventions.length * rows;
  const metric = new Float64Array(total);
  let done = 0;
  for (const segments of circuitBlocks(context.interventions.length, rows, rowsPerBlock)) {
    onProgress?.(done, total);
    await setImmediate();
    const logits = runCircuitBlock(context, segments);
    const values = await logits.data();
    logits.dispose();
    let row = 0;
    for (const { evaluation, start, count } of segments)
      for (let r = start; r < start + count; r++, row++) {
        const prompt = r % prompts.length;
        metric[evaluation * rows + r] = finite(
          metricOf(values, row, context.answers, prompt),
          evaluation,
          must(prompts[prompt], "prompt"),
        );
      }
    done += row;
  }
  onProgress?.(done, total);
  return { metric };
}

function finite(metric: number, evaluation: number, { line }: Prompt): number {
  if (Number.isFinite(metric)) return metric;
  throw new PatchbayError(
    "non_finite",
    `the metric of evaluation ${String(evaluation)} on the prompt in line ${String(line)} is ${String(metric)}`,
  );
}

/** Token ids of an evaluation's rows: clean prompts, then corrupted ones where the dataset has them. */
function rowsOf(prompts: readonly Prompt[]): (readonly number[])[] {
  const corrupted = prompts.flatMap((prompt) => (prompt.corrupted === null ? [] : [prompt.corrupted]));
  assert(
    corrupted.length === 0 || corrupted.length === prompts.length,
    "either every prompt has a corrupted run or none has",
  );
  return [...prompts.map((prompt) => prompt.clean), ...corrupted];
}

function donorRows(donors: readonly Prompt[], prompts: readonly Prompt[]): (readonly number[])[] {
  const rows = rowsOf(donors);
  const own = rowsOf(prompts);
  assert(
    rows.length === own.length && rows.every((ids, i) => ids.length === own[i]?.length),
    "donors are aligned with their prompts",
  );
  return rows;
}

function ablationSource(ablation: AblationValues, donors: UnpatchedRun | null): AblationSource {
  const none = (): null => null;
  const donor = (at: SiteAt): Tensor | null => (donors === null ? null : siteOf(donors, at));
  if (ablation.kind !== "mean") return { means: none, donor };
  const { features, errors } = ablation.means;
  return {
    means: (hook) => ({
      features: must(features.get(hook), `means of ${hook}`),
      errors: must(errors.get(hook), `means of ${hook}`),
    }),
    donor: none,
  };
}

/** Feature thresholds of every SAE on the host. */
async function gatesOf(spliced: SplicedModel): Promise<Map<string, Float32Array>> {
  const gates = new Map<string, Float32Array>();
  for (const placed of spliced.saes) gates.set(siteHook(placed), (await placed.sae.gate_F.data()) as Float32Array);
  return gates;
}
