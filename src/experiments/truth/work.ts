/** @file Work of true patching: a shard's unpatched runs, its deltas, and its blocks of patched rows. */
import { climbOf, flatRows } from "./truth-climb.js";
import { truthRows, truthBlocks, type TruthBlock } from "./truth-rows.js";
import { NODE_KINDS, type NodeKind } from "../../nodes/kinds.js";
import { indexOf, type Node, nodeInPrompt } from "../../nodes/node.js";
import type { ModelConfig } from "../../families/family.js";
import { siteHook, SAE_SITES } from "../../nodes/site.js";
import {
  afterAttentionWork,
  attentionWork,
  neuronsAgainWork,
  neuronsOutputWork,
  qkvWork,
  unembedWork,
} from "../../cost/layer-work.js";
import { captureWork, promptBlockOf, type CostModel, type PromptBlock } from "../../cost/run-work.js";
import { changeWork, type SaeSize } from "../../cost/sae-work.js";
import { Work } from "../../cost/work.js";
import { must } from "../../base/assert.js";
import { createRng } from "../../base/rng.js";
import type { WorkContext, ShardCost, TaskCost } from "../../cost/counted-task.js";
import { firstDifference, firstPosition, type Prompt, isPaired } from "../../nodes/prompt.js";
import { positionCount } from "../../nodes/span.js";
import { unpatchedSize, truthBlockSize, encoderSize } from "../../plan/memory.js";
import { type NodeListSpec, nodeListOf, type TruthDonor, truthDonorOf } from "../../plan/node-list.js";
import { type Plan, type Shard, promptsOf } from "../../plan/plan.js";
import type { StageShards } from "../../plan/stage-shards.js";
import { type ExpectedNode, expectedNodes } from "./expected-nodes.js";
import type { TruthTask } from "./task.js";

/** The unpatched runs of a block of prompts, and the clean one's keys. */
export function unpatchedWork(model: CostModel, block: PromptBlock): Work {
  const work = new Work(model);
  captureWork(work, model, block);
  for (let layer = 0; layer < model.config.nLayers; layer++)
    qkvWork(work, model.config, block.prompts * block.positions);
  return work;
}

/** Sizes of the deltas of a block of prompts. */
interface DeltaBlock {
  readonly model: CostModel;
  readonly rows: number;
  /** Rows from the first position that differs on. */
  readonly later: number;
  /** Runs that are read beside the clean one: the corrupted one where it is the donor. */
  readonly donors: 0 | 1;
}

/** What the deltas of each kind's nodes take; an engine that keeps them with the unpatched runs makes them once. */
const DELTAS: Readonly<
  Record<
    NodeKind,
    {
      readonly isKept: boolean;
      readonly add: (work: Work, block: DeltaBlock, nodes: readonly Node[]) => void;
    }
  >
> = {
  feature: {
    isKept: false,
    add: (work, { model, later, donors }, nodes) => {
      for (const sae of model.saes) {
        const features = new Set(nodes.filter((node) => siteHook(node) === siteHook(sae)).map(featureOf)).size;
        if (features > 0) someWork(work, sae, later, { features, donors });
      }
    },
  },
  error: {
    isKept: true,
    add: addErrors,
  },
  error_linear: { isKept: true, add: addLinear },
  error_nonlinear: {
    isKept: true,
    add: (work, block, nodes) => {
      addErrors(work, block, nodes);
      addLinear(work, block, nodes);
      for (const { dIn } of saesOf(block, nodes)) work.move("arithmetic", block.rows * dIn, 5, 5);
    },
  },
  site: { isKept: false, add: addWhole },
  head: { isKept: false, add: addWhole },
  neuron: {
    isKept: false,
    add: (work, { model, rows, donors }, nodes) => {
      const layer = new Work(model);
      for (let run = 0; run <= donors; run++) neuronsAgainWork(layer, model.config, rows);
      layer.move("arithmetic", rows * model.config.dMlp, 3, 4);
      work.add(layer, new Set(nodes.map((node) => node.layer)).size);
    },
  },
};

/** The SAEs whose nodes these are. */
function saesOf({ model }: DeltaBlock, nodes: readonly Node[]): SaeSize[] {
  const hooks = new Set(nodes.map(siteHook));
  return model.saes.filter((one) => hooks.has(siteHook(one)));
}

/** Changes of errors, and their magnitudes. */
function addErrors(work: Work, block: DeltaBlock, nodes: readonly Node[]): void {
  for (const sae of saesOf(block, nodes)) {
    work.move("copy", block.later * sae.dIn, 6, 3);
    changeWork(work, sae, block.later, { donors: block.donors, scored: false });
    work.move("arithmetic", block.rows * sae.dIn, 3, 4);
  }
}

/** Changes of the linear parts of errors, and their magnitudes. */
function addLinear(work: Work, block: DeltaBlock, nodes: readonly Node[]): void {
  for (const { dIn: D } of saesOf(block, nodes)) {
    work.move("copy", block.later * D, 6, 3);
    work.product("layers", block.later, D, D);
    work.move("arithmetic", block.later * D, 3, 1);
    work.move("arithmetic", block.rows * D, 3, 4);
  }
}

/** Deltas of the sites that nodes name, from the first position that differs: of features, those that are named are encoded. */
export function deltasWork(
  model: CostModel,
  block: PromptBlock,
  nodes: readonly (Node | null)[],
  donor: TruthDonor = "corrupted",
): Work {
  const work = new Work(model);
  const rows = block.prompts * block.positions;
  const hasRun = donor === "corrupted";
  const later = hasRun ? block.prompts * (block.positions - block.first) : rows;
  const donors = hasRun ? 1 : 0;
  const named = nodes.filter((node) => node !== null);
  for (const kind of NODE_KINDS) {
    const mine = named.filter((node) => node.kind === kind);
    if (mine.length > 0) DELTAS[kind].add(work, { model, rows, later, donors }, mine);
  }
  return work;
}

/** Whether an engine that has the deltas of one node has those of the other. */
export function sharesDeltas(a: Node, b: Node): boolean {
  return a.kind === b.kind && DELTAS[a.kind].isKept && siteHook(a) === siteHook(b);
}

/** Differences of whole sites, and their magnitudes. */
function addWhole(work: Work, { model, rows }: DeltaBlock, nodes: readonly Node[]): void {
  const sites = new Set(nodes.map(siteHook)).size;
  work.move("arithmetic", rows * model.config.dModel * sites, 7, 6 * sites);
}

function featureOf(node: Node): number | undefined {
  return indexOf(node, "feature");
}

/** Changes of some features from the clean run to the donor, and their decoder rows. */
function someWork(
  work: Work,
  { dIn: D }: SaeSize,
  rows: number,
  { features, donors }: { readonly features: number; readonly donors: number },
): void {
  for (let run = 0; run <= donors; run++) {
    work.move("copy", rows * D, 2, 2);
    work.move("copy", features * D, 2, 3);
    work.product("encode", rows, D, features);
    work.move("arithmetic", rows * features, 10, 4);
  }
  work.move("arithmetic", rows * features, 5, 2);
  work.move("copy", features * D, 2, 1);
}

/** One block of patched rows, through all layers. */
export function truthBlockWork(
  model: CostModel,
  { prompts, positions, answers }: PromptBlock,
  block: TruthBlock,
): Work {
  const { config } = model;
  const { dModel: D, nHeads, headDim, nKvHeads } = config;
  const [Z, J] = [nHeads * headDim, nKvHeads * headDim];
  const work = new Work(model);
  const { steps, out } = climbOf(block, { positions, nLayers: config.nLayers });
  for (const { carried, groups, joinAfterAttention, joinAtEnd } of steps) {
    const climbing = flatRows(carried);
    const attended = groups.reduce((sum, { span, members }) => sum + members.length * span.length, 0);
    if (climbing > 0) {
      qkvWork(work, config, climbing);
      work.move("copy", climbing * headDim, 4, 2);
      work.move("copy", (climbing + prompts * positions) * (D + Z + 2 * J), 2, 4);
      work.move("copy", attended * (D + Z), 2, 1 + groups.length);
      if (groups.length > 1) work.move("copy", attended * Z, 2, 2);
      for (const { span, members } of groups) {
        work.move("copy", members.length * positions * J, 4, 2);
        attentionWork(work, config, members.length, span.length, positions);
      }
    }
    const [after, end] = [joinAfterAttention, joinAtEnd].map(flatRows) as [number, number];
    if (after > 0) patchWork(work, after, D + Z, Z);
    if (attended + after > 0) afterAttentionWork(work, config, attended + after);
    if (climbing > 0 && after > 0) work.move("copy", (attended + after) * (D + Z), 2, 2);
    if (end > 0) patchWork(work, end, D, D);
    const neurons = flatRows(joinAtEnd.filter(({ row }) => row.node.kind === "neuron"));
    if (neurons > 0) neuronPatchWork(work, config, neurons);
    if (end > 0 && attended + after > 0) work.move("copy", (attended + after + end) * D, 2, 1);
  }
  work.move("copy", out.length * D, 2, 1);
  unembedWork(work, config, out.length, answers);
  return work;
}

/** What the MLP adds with a neuron of each row changed, and without. */
function neuronPatchWork(work: Work, config: ModelConfig, rows: number): void {
  const { dModel: D, dMlp: M, nHeads, headDim } = config;
  work.move("copy", rows * (D + nHeads * headDim), 2, 2);
  neuronsAgainWork(work, config, rows);
  for (let side = 0; side < 2; side++) neuronsOutputWork(work, config, rows);
  work.move("arithmetic", rows * M, 3, 1);
  work.move("arithmetic", rows * D, 3, 1);
}

/** Gathers `width` numbers of the clean run for each row, and adds deltas of `patched` numbers. */
function patchWork(work: Work, rows: number, width: number, patched: number): void {
  work.move("copy", rows * (width + patched), 2, 4);
  work.move("arithmetic", rows * patched, 3, 2);
}

const expected = new WeakMap<Plan, ExpectedNode[]>();

/** A plan's expected nodes, made once: there can be millions. */
function nodesOf(plan: Plan): ExpectedNode[] {
  const nodes = expected.get(plan) ?? expectedNodes(plan);
  expected.set(plan, nodes);
  return nodes;
}

function truthShard(
  { plan, model, workers }: WorkContext,
  { rowsPerBlock, donor }: TruthTask,
  shard: Shard,
): ShardCost {
  const block = promptBlockOf(plan, shard);
  const nodes = nodesOf(plan);
  const prompts = promptsOf(plan, shard);
  const positions = positionCount(must(prompts[0], "prompt"));
  const [start, end] = must(shard.slots, "slots");
  const slots = nodes.slice(start, end).flatMap(({ node, differs }): ExpectedNode[] => {
    const here = nodeInPrompt(node, positions);
    return here === undefined ? [] : [{ node: here, differs }];
  });
  const firsts = prompts.map((prompt) => (donor === "corrupted" ? firstDifference([prompt]) : 0));
  const spans = prompts[0]?.spans?.map((span) => span.clean);
  const size = { prompts: block.prompts, positions: block.positions, spans, nLayers: model.config.nLayers };
  const rng = createRng(plan.sweep.seed, "expected rows", shard.id);
  const rows = truthRows(
    slots.map(({ node }) => node),
    size,
    (slot, row) => {
      const prompt = Math.floor(row / size.positions);
      if (row % size.positions < must(firsts[prompt], "prompt")) return false;
      return rng.uniform() < must(slots[slot], "slot").differs;
    },
    donor,
  );
  // A single engine has kept the errors of the site that the shard before ended in.
  const kept = workers === 1 && start > 0 ? must(nodes[start - 1], "slot").node : null;
  const isKept = (node: Node): boolean => kept !== null && sharesDeltas(kept, node);
  const named = slots.map(({ node }) => node);
  const work = deltasWork(
    model,
    block,
    named.filter((node) => !isKept(node)),
    donor,
  );
  const blocks = truthBlocks(rows, size, rowsPerBlock);
  for (const one of blocks) work.add(truthBlockWork(model, block, one));
  const widest = Math.max(
    0,
    ...blocks.map((one) => one.rows.reduce((sum, { start }) => sum + block.positions - start, 0)),
  );
  return { units: rows.length, work, widest };
}

/** Adds the unpatched runs: every engine that works on a block of prompts needs them once. @returns the last block's key. */
function addUnpatched(
  work: Work,
  { plan, model, workers }: WorkContext,
  shards: StageShards,
  lastBlock: string,
): string {
  let key = lastBlock;
  for (const { prompts, count, first } of shards.byBlock()) {
    const own = prompts.join();
    if (own !== key) work.add(unpatchedWork(model, promptBlockOf(plan, first)), Math.min(workers, count));
    key = own;
  }
  return key;
}

/** How the work of the truth is counted. */
export const TRUTH_COST: TaskCost<TruthTask> = {
  shard: truthShard,
  addShared: addUnpatched,
  alive: (shape, { prompts, widest }) =>
    unpatchedSize(shape, prompts) +
    Math.max(truthBlockSize(shape, widest, 1), encoderSize(shape.dSae, prompts * shape.positions)),
};

/** In a probe: the error nodes (or whole sites) where prompts differ. */
export function probedTruth(
  sweep: Plan["sweep"],
  prompts: readonly Prompt[],
  withSaes: boolean,
): { readonly truth?: NodeListSpec | undefined } {
  const donor = truthDonorOf(sweep);
  if (nodeListOf(sweep) === undefined || (donor === "corrupted" && !isPaired(prompts))) return { truth: undefined };
  const all = { sites: [...SAE_SITES], layers: "all" as const };
  const first = donor === "corrupted" ? firstPosition(prompts) : 0;
  const count = prompts[0] === undefined ? 0 : positionCount(prompts[0]);
  const positions = Array.from({ length: count - first }, (_, i) => first + i);
  return { truth: { positions, donor, ...(withSaes ? { errors: all } : { whole_sites: all }) } };
}
