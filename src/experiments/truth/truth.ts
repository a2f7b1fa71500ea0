/**
 * @file True activation patching of many nodes on a block of prompts.
 *
 * 1. Run the prompts clean and corrupted once, keeping what patched runs reuse.
 * 2. Compute the nodes' deltas; rows whose delta is exactly zero are not run, their effect is exactly 0.
 * 3. The whole residual stream at all positions gives the corrupted run: its metric is taken, so every layer has the same.
 * 4. Run the other rows in blocks, all layers in step (`truth-block.ts`).
 *
 * Exact, not an approximation: everything downstream of a patch is recomputed. Source: REFERENCE 4.
 */
import { must } from "../../base/assert.js";
import { PatchbayError } from "../../base/errors.js";
import { KINDS } from "../../nodes/kinds.js";
import { GLOBAL_POSITION, hookOf, indexOf, type Node } from "../../nodes/node.js";
import type { MetricReduce, Prompt } from "../../nodes/prompt.js";
import { metricOf } from "../../model/metric.js";
import { readAndDispose } from "../../model/read-tensor.js";
import { withScope } from "../../model/tensor-scope.js";
import { breathe, type OnProgress } from "../../passes/breathe.js";
import type { SplicedModel } from "../../passes/spliced-model.js";
import { runTruthBlock, type TruthContext } from "./truth-block.js";
import { computeDeltas } from "./truth-deltas.js";
import { endsAsCorrupted, truthBlocks, truthRows, type TruthRow } from "./truth-rows.js";
import { unpatchedRuns, type RunCache } from "./unpatched-runs.js";
import type { TruthResult } from "./payload.js";

/**
 * Metrics of every prompt with every node patched from its corrupted run.
 *
 * @param prompts all of one length, each with a corrupted run.
 * @param nodes slots; null where a slot is empty.
 * @param rowsPerBlock most patched runs at once, if all start at the first position.
 * @param onProgress told patched runs done and to do.
 * @param cache keeps the unpatched runs for the next call with the same prompts; without one they are released.
 * @throws PatchbayError `non_finite` naming the site, or the patched node and its position, and the prompt's line.
 */
export async function computeTruth(
  spliced: SplicedModel,
  prompts: readonly Prompt[],
  reduce: MetricReduce,
  nodes: readonly (Node | null)[],
  rowsPerBlock: number,
  onProgress?: OnProgress,
  cache?: RunCache,
): Promise<TruthResult> {
  const { model } = spliced;
  return await withScope(async (own) => {
    const runs =
      cache === undefined ? own(await unpatchedRuns(model, prompts, reduce)) : await cache.of(model, prompts, reduce);
    const { answers, clean, corrupted, keys } = runs;
    const deltas = own(await computeDeltas(spliced, runs, nodes));
    const positions = clean.frame.T;
    const result = unrun(clean.metric.slice(), corrupted.metric.slice(), nodes);
    const size = { prompts: prompts.length, positions, nLayers: model.config.nLayers };
    const rows = truthRows(nodes, size, (slot, row) => deltas.change(slot, row) !== 0);
    const context: TruthContext = { model, clean, keys, deltas, answers, positions };
    let done = 0;
    for (const block of truthBlocks(rows, size, rowsPerBlock)) {
      onProgress?.(done, rows.length);
      await breathe();
      const logits = await readAndDispose(await runTruthBlock(context, block));
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

/** Results as they are before any row has run: those of the clean run, or of the corrupted one where a node stands for all of it. */
function unrun(metricClean: Float64Array, metricCorrupted: Float64Array, nodes: readonly (Node | null)[]): TruthResult {
  const metricPatched = new Float64Array(metricClean.length * nodes.length);
  const whole = nodes.map((node) => node !== null && endsAsCorrupted(node));
  for (const prompt of metricClean.keys())
    for (const [slot, corrupted] of whole.entries())
      metricPatched[prompt * nodes.length + slot] = must((corrupted ? metricCorrupted : metricClean)[prompt], "metric");
  return { metricClean, metricCorrupted, metricPatched, ran: new Uint8Array(metricPatched.length) };
}

function nonFinitePatch({ node }: TruthRow, { line }: Prompt, metric: number): PatchbayError {
  const hook = hookOf(node);
  const { index } = KINDS[node.kind];
  const within = index === null ? "" : `, ${index} ${String(indexOf(node, index))}`;
  const position = node.position === GLOBAL_POSITION ? "all positions" : `position ${String(node.position)}`;
  const text =
    `metric with ${hook}${within} patched at ${position}: expected a finite number, got ${String(metric)} ` +
    `for the prompt of line ${String(line)}. Check the checkpoint and the SAEs for damaged values`;
  return new PatchbayError("non_finite", text, { detail: { line, field: hook } });
}
