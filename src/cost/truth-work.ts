/** @file Work of true patching: a shard's unpatched runs, its deltas, and its blocks of patched rows. */
import { joinOf, type TruthBlock } from "../attribution/truth-rows.js";
import type { Node } from "../circuit/node.js";
import { siteHook } from "../circuit/site.js";
import { afterAttentionWork, attentionWork, qkvWork, unembedWork } from "./layer-work.js";
import { captureWork, type CostModel, type PromptBlock } from "./run-work.js";
import { changeWork } from "./sae-work.js";
import { Work } from "./work.js";

/** Both unpatched runs of a block of prompts, and the clean one's keys. */
export function unpatchedWork(model: CostModel, block: PromptBlock): Work {
  const work = new Work(model);
  captureWork(work, model, block);
  captureWork(work, model, block);
  for (let layer = 0; layer < model.config.nLayers; layer++)
    qkvWork(work, model.config, block.prompts * block.positions);
  return work;
}

/** Deltas of the sites that nodes name; SAEs encode from the first position that differs. */
export function deltasWork(model: CostModel, block: PromptBlock, nodes: readonly (Node | null)[]): Work {
  const work = new Work(model);
  const rows = block.prompts * block.positions;
  const later = block.prompts * (block.positions - block.first);
  const named = nodes.filter((node) => node !== null);
  const coded = new Set(named.filter(({ kind }) => kind === "error" || kind === "feature").map(siteHook));
  for (const sae of model.saes)
    if (coded.has(siteHook(sae))) {
      work.move("copy", later * sae.dIn, 6, 3);
      changeWork(work, sae, later, { donors: 1, scored: false });
      work.move("arithmetic", rows * sae.dIn, 3, 4);
    }
  const whole = new Set(named.filter(({ kind }) => kind === "site" || kind === "head").map(siteHook));
  work.move("arithmetic", rows * model.config.dModel * whole.size, 7, 6 * whole.size);
  return work;
}

/** One block of patched rows, through all layers. */
export function truthBlockWork(model: CostModel, { positions, answers }: PromptBlock, block: TruthBlock): Work {
  const { config } = model;
  const { dModel: D, nHeads, headDim, nKvHeads } = config;
  const [Z, J] = [nHeads * headDim, nKvHeads * headDim];
  const work = new Work(model);
  const carried = positions - block.start;
  const joining = new Int32Array(2 * config.nLayers);
  for (const { node } of block.rows) joining[joinOf(node)] = (joining[joinOf(node)] ?? 0) + 1;
  let climbing = 0;
  for (let layer = 0; layer < config.nLayers; layer++) {
    const [after, end] = [joining[2 * layer] ?? 0, joining[2 * layer + 1] ?? 0];
    const out = layer === config.nLayers - 1 ? 1 : carried;
    if (climbing > 0) {
      qkvWork(work, config, climbing * carried);
      work.move("copy", climbing * carried * headDim, 4, 2);
      if (block.start > 0) {
        work.move("copy", climbing * block.start * J, 4, 2);
        work.move("copy", climbing * positions * J, 4, 8);
      }
      attentionWork(work, config, climbing, out, positions);
    }
    if (after > 0) patchWork(work, after * out, D + Z, Z);
    if (climbing + after > 0) {
      afterAttentionWork(work, config, (climbing + after) * out);
      if (climbing > 0 && after > 0) work.move("copy", (climbing + after) * out * (D + Z), 2, 2);
    }
    if (end > 0) {
      patchWork(work, end * out, D, D);
      if (climbing + after > 0) work.move("copy", (climbing + after + end) * out * D, 2, 1);
    }
    climbing += after + end;
  }
  unembedWork(work, config, climbing, answers);
  return work;
}

/** Gathers `width` numbers of the clean run for each row, and adds deltas of `patched` numbers. */
function patchWork(work: Work, rows: number, width: number, patched: number): void {
  work.move("copy", rows * (width + patched), 2, 4);
  work.move("arithmetic", rows * patched, 5, 3);
}
