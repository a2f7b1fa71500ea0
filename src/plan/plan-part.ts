/** @file What an experiment adds to a plan: checks of its fields beside the inputs, and its stages. */
import type { Prompt } from "../nodes/prompt.js";
import type { SweepSource } from "../sweep/read-sweep.js";
import type { Sweep } from "../sweep/sweep.js";
import type { PromptBlocks } from "./held-out.js";
import type { Blocks, ModelShape, Plan, SaeSite, Stage } from "./plan.js";

/** What a sweep is checked and planned against. */
export interface PlanContext {
  readonly shape: ModelShape;
  readonly saes: readonly SaeSite[];
  readonly prompts: readonly Prompt[];
  /** How many of them are evaluated, where the others choose. */
  readonly evaluated?: number;
  /** Whether the dataset has corrupted prompts. */
  readonly paired: boolean;
  /** Token counts of the evaluated prompts, without repeats. */
  readonly lengths: readonly number[];
}

/** What stages are made of. */
export interface StageContext extends PlanContext {
  readonly sweep: Sweep;
  readonly blocks: Blocks;
  /** Blocks of prompts: indexes into the plan's prompts, all of one token count. */
  readonly promptBlocks: PromptBlocks;
  /** Whether any experiment reads mean activations. */
  readonly needsMeans: boolean;
  /** Whether any reads those of neurons. */
  readonly needsNeuronMeans: boolean;
}

/** Parts of a plan that only some experiments need. */
export type PlanFacts = Pick<Plan, "donors" | "nodeSlots">;

/** An experiment's part of a plan. */
export interface PlanPart {
  /** @throws PatchbayError `bad_input` naming file, line and field of the first fault. */
  check?(source: SweepSource, context: PlanContext): void;
  /** Whether it reads mean activations. */
  needsMeans?(sweep: Sweep): boolean;
  /** Whether it reads those of neurons too. */
  needsNeuronMeans?(sweep: Sweep): boolean;
  /** @throws PatchbayError `bad_input` where the prompts do not bear what the sweep asks for. */
  facts?(source: SweepSource, context: PlanContext): Partial<PlanFacts>;
  /** Its stages, in an order in which each comes after those it depends on. */
  stages(context: StageContext): readonly Stage[];
}
