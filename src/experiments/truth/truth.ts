/**
 * @file True activation patching of many nodes on a block of prompts.
 *
 * 1. Run the prompts clean and, where they are pairs, corrupted once, keeping what patched runs reuse.
 * 2. Compute the nodes' deltas; rows whose delta is exactly zero are not run, their effect is exactly 0.
 * 3. The corrupted run's whole residual stream at all positions gives that run: its metric is taken, so every layer has the same.
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
import { CORRUPTED, type DonorValues } from "./truth-donor.js";
import { endsAsCorrupted, truthBlocks, truthRows, type TruthRow } from "./truth-rows.js";
import { unpatchedRuns, type RunCache } from "./unpatched-runs.js";
import type { TruthResult } from "./payload.js";

/** What a call may have beside its nodes. */
export interface TruthOptions {
  /** Where patched nodes take their values from; left out, the prompt's corrupted run. */
  readonly donor?: DonorValues;
  /** Told patched runs done and to do. */
  readonly onProgress?: OnProgress;
  /** Keeps the unpatched runs for the next call with the same prompts; without one they are released. */
  readonly cache?: RunCache;
}

/**
 * Metrics of every prompt with every node patched from the donor.
 *
 * @param prompts all of one length; each with a corrupted run where that is the donor.
 * @param nodes slots; null where a slot is empty.
 * @param rowsPerBlock most patched runs at once, if all start at the first position.
 * @throws PatchbayError `non_finite` naming the site, or the patched node and its position, and the prompt's line.
 */
export async function computeTruth(
  spliced: SplicedModel,
  prompts: readonly Prompt[],
  reduce: MetricReduce,
  nodes: readonly (Node | null)[],
  rowsPerBlock: number,
  { donor = CORRUPTED, onProgress, cache }: TruthOptions = {},
): Promise<TruthResult> {
  const { model } = spliced;
  return await withScope(async (own) => {
    const runs =
      cache === undefined
        ? own(await unpatchedRuns(model, prompts, reduce, donor))
        : await cache.of(model, prompts, reduce, donor);
    const { answers, clean, corrupted, keys } = runs;
    const deltas = own(await computeDeltas(spliced, runs, nodes));
    const positions = clean.frame.T;
    const spans = prompts[0]?.spans?.map((span) => span.clean);
    const size = { prompts: prompts.length, positions, spans, nLayers: model.config.nLayers };
    const result = unrun(
      clean.metric.slice(),
      corrupted?.metric.slice() ?? clean.metric.map(() => Number.NaN),
      nodes.map((node) => node !== null && endsAsCorrupted(node, donor.kind, spans !== undefined)),
    );
    const rows = truthRows(nodes, size, (slot, row) => deltas.change(slot, row) !== 0, donor.kind);
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
function unrun(metricClean: Float64Array, metricCorrupted: Float64Array, asCorrupted: readonly boolean[]): TruthResult {
  const metricPatched = new Float64Array(metricClean.length * asCorrupted.length);
  for (const prompt of metricClean.keys())
    for (const [slot, corrupted] of asCorrupted.entries())
      metricPatched[prompt * asCorrupted.length + slot] = must(
        (corrupted ? metricCorrupted : metricClean)[prompt],
        "metric",
      );
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
