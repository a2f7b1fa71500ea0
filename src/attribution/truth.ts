/**
 * @file True activation patching of many nodes on a block of prompts.
 *
 * 1. Run the prompts clean and corrupted once, keeping what patched runs reuse.
 * 2. Compute the nodes' deltas; rows whose delta is exactly zero are not run, their effect is exactly 0.
 * 3. Run the other rows in blocks, all layers in step (`truth-block.ts`).
 *
 * Exact, not an approximation: everything downstream of a patch is recomputed. Source: REFERENCE 4.
 */
import { must } from "../base/assert.js";
import { PatchbayError } from "../base/errors.js";
import { hookOf, type Node } from "../circuit/node.js";
import type { MetricReduce, Prompt } from "../circuit/prompt.js";
import { loadAnswers, metricOf } from "../model/metric.js";
import { readAndDispose } from "../model/read-tensor.js";
import { withScope } from "../model/tensor-scope.js";
import { breathe, type OnProgress } from "./breathe.js";
import { captureRun } from "./capture.js";
import { cleanKeys } from "./clean-keys.js";
import { checkRun } from "./non-finite.js";
import type { TruthResult } from "./results.js";
import type { SplicedModel } from "./spliced-model.js";
import { runTruthBlock, type TruthContext } from "./truth-block.js";
import { computeDeltas } from "./truth-deltas.js";
import { truthBlocks, truthRows, type TruthRow } from "./truth-rows.js";

/**
 * Metrics of every prompt with every node patched from its corrupted run.
 *
 * @param prompts all of one length, each with a corrupted run.
 * @param nodes slots; null where a slot is empty.
 * @param rowsPerBlock most patched runs at once.
 * @param onProgress told patched runs done and to do.
 * @throws PatchbayError `non_finite` naming the site, or the patched node and its position, and the prompt's line.
 */
export async function computeTruth(
  spliced: SplicedModel,
  prompts: readonly Prompt[],
  reduce: MetricReduce,
  nodes: readonly (Node | null)[],
  rowsPerBlock: number,
  onProgress?: OnProgress,
): Promise<TruthResult> {
  const { model } = spliced;
  return await withScope(async (own) => {
    const answers = own(await loadAnswers(model.embedding, prompts, reduce));
    const clean = own(await captureRun(model, prompts, "clean", answers));
    const corrupted = own(await captureRun(model, prompts, "corrupted", answers));
    for (const run of [clean, corrupted]) await checkRun(run, model.config.nLayers, prompts);
    const deltas = own(await computeDeltas(spliced, clean, corrupted, nodes));
    const positions = clean.frame.T;
    const result = unrun(clean.metric, corrupted.metric, nodes.length);
    const size = { prompts: prompts.length, positions, nLayers: model.config.nLayers };
    const rows = truthRows(nodes, size, (slot, row) => deltas.change(slot, row) !== 0);
    const context: TruthContext = { model, clean, keys: own(cleanKeys(model, clean)), deltas, answers, positions };
    let done = 0;
    for (const block of truthBlocks(rows, rowsPerBlock)) {
      onProgress?.(done, rows.length);
      await breathe();
      const logits = await readAndDispose(runTruthBlock(context, block));
      for (const [r, row] of block.rows.entries()) {
        const metric = metricOf(logits, r, answers, row.prompt);
        if (!Number.isFinite(metric)) throw nonFinitePatch(row, must(prompts[row.prompt], "prompt"), metric);
        result.metricPatched[row.prompt * nodes.length + row.slot] = metric;
        result.ran[row.prompt * nodes.length + row.slot] = 1;
      }
      done += block.rows.length;
    }
    onProgress?.(done, rows.length);
    return result;
  });
}

/** Results as they are before any row has run: every effect exactly 0. */
function unrun(metricClean: Float64Array, metricCorrupted: Float64Array, slots: number): TruthResult {
  const metricPatched = new Float64Array(metricClean.length * slots);
  for (const [prompt, metric] of metricClean.entries())
    metricPatched.fill(metric, prompt * slots, (prompt + 1) * slots);
  return { metricClean, metricCorrupted, metricPatched, ran: new Uint8Array(metricPatched.length) };
}

function nonFinitePatch({ node }: TruthRow, { line }: Prompt, metric: number): PatchbayError {
  const hook = hookOf(node);
  const feature = node.kind === "feature" ? `, feature ${String(node.feature)}` : "";
  const position = node.position < 0 ? "all positions" : `position ${String(node.position)}`;
  const text =
    `metric with ${hook}${feature} patched at ${position}: expected a finite number, got ${String(metric)} ` +
    `for the prompt of line ${String(line)}. Check the checkpoint and the SAEs for damaged values`;
  return new PatchbayError("non_finite", text, { detail: { line, field: hook } });
}
