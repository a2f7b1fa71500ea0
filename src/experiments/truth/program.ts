/** @file The engine's program for true patching. */
import { readErrorFit } from "../../artifacts/error-fit-file.js";
import { must } from "../../base/assert.js";
import { fittedModel } from "../../passes/fitted-model.js";
import { type Node, nodeInPrompt } from "../../nodes/node.js";
import type { Prompt } from "../../nodes/prompt.js";
import { positionCount } from "../../nodes/span.js";
import type { ShardProgram } from "../../passes/shard-program.js";
import { keepForPlan } from "../../passes/keep-for-plan.js";
import type { TruthDonor } from "../../plan/node-list.js";
import { promptsOf } from "../../plan/plan.js";
import type { ReadArtifact } from "../../run/artifacts.js";
import { expectedNodes } from "./expected-nodes.js";
import { readNodes } from "./node-table.js";
import { encodeTruth } from "./payload.js";
import type { TruthTask } from "./task.js";
import { type DonorValues, readDonor } from "./truth-donor.js";
import { computeTruth } from "./truth.js";
import { createRunCache } from "./unpatched-runs.js";

/** Makes the program. It keeps the unpatched runs from one shard of a block of prompts to the next, and what it read for all of a plan's. */
export function openProgram(): ShardProgram<TruthTask> {
  const runs = createRunCache();
  const kept = keepForPlan(keepReads);
  return {
    run: async (inputs, { rowsPerBlock, donor: kind }, shard) => {
      const { plan, artifact, onProgress } = inputs;
      const model = fittedModel(inputs, readErrorFit);
      const [start, end] = must(shard.slots, "slots");
      const reads = kept.of(plan);
      const bySlot = await reads.nodes(artifact);
      const prompts = promptsOf(plan, shard);
      const nodes = Array.from({ length: end - start }, (_, i) => inPrompts(bySlot.get(start + i), prompts));
      const { reduce } = plan.sweep.metric;
      const donor = await reads.donor(kind, artifact);
      const result = await computeTruth(model, prompts, reduce, nodes, rowsPerBlock, {
        donor,
        onProgress,
        cache: runs,
      });
      const units = result.ran.reduce((sum, one) => sum + one, 0);
      return { payload: encodeTruth(result), count: prompts.length, units };
    },
    probe: async ({ plan, model }, { rowsPerBlock, donor }, shard) => {
      const nodes = expectedNodes(plan)
        .slice(...must(shard.slots, "slots"))
        .map(({ node }) => inPrompts(node, promptsOf(plan, shard)));
      const kind = donor === "corrupted" ? donor : "zero"; // There are no means, and it costs what they do.
      const { reduce } = plan.sweep.metric;
      await computeTruth(model, promptsOf(plan, shard), reduce, nodes, rowsPerBlock, { donor: { kind } });
    },
    release: () => {
      runs.dispose();
      kept.forget();
    },
  };
}

/** What is read once: the nodes by their slots, and the donor's values. */
interface KeptReads {
  nodes(artifact: ReadArtifact): Promise<ReadonlyMap<number, Node>>;
  donor(kind: TruthDonor, artifact: ReadArtifact): Promise<DonorValues>;
}

function keepReads(): KeptReads {
  let nodes: ReadonlyMap<number, Node> | undefined;
  let donor: DonorValues | undefined;
  return {
    nodes: async (artifact) => (nodes ??= new Map((await readNodes(artifact)).map((node) => [node.slot, node]))),
    donor: async (kind, artifact) => {
      if (donor?.kind !== kind) donor = await readDonor(kind, artifact);
      return donor;
    },
  };
}

/** The node in prompts whose tokens have the same positions; null where there is none, or they do not have its position. */
function inPrompts(node: Node | undefined, prompts: readonly Prompt[]): Node | null {
  if (node === undefined) return null;
  return nodeInPrompt(node, positionCount(must(prompts[0], "first prompt"))) ?? null;
}
