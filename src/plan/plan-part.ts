/** @file What an experiment adds to a plan: checks of its fields beside the inputs, and its stages. */
import type { Lender } from "./lender.js";
import type { Prompt } from "../nodes/prompt.js";
import type { SweepSource } from "../sweep/read-sweep.js";
import type { RowFilter } from "../sweep/row-filter.js";
import type { Sweep } from "../sweep/sweep.js";
import type { PromptBlocks, TokenCounts } from "./held-out.js";
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
  readonly lengths: TokenCounts;
}

/** What stages are made of. */
export interface StageContext extends PlanContext {
  readonly sweep: Sweep;
  readonly blocks: Blocks;
  /** Blocks of prompts: indexes into the plan's prompts, all of one token count, and which are for what. */
  readonly promptBlocks: PromptBlocks;
  /** Whether any experiment reads mean activations. */
  readonly needsMeans: boolean;
  /** Whether any reads those of neurons. */
  readonly needsNeuronMeans: boolean;
  /** Whether any reads those of whole sites. */
  readonly needsSiteMeans: boolean;
}

/** Parts of a plan that only some experiments need. */
export type PlanFacts = Pick<Plan, "donors" | "nodeSlots">;

/** What an earlier run says of a dataset's rows, each named by {@link rowKey}. */
export interface MeasuredRows {
  /** The plan hash of the run. */
  readonly planHash: string;
  /** Fingerprint of the dataset that its rows are of. */
  readonly dataset: string;
  /** Rows that it evaluated. */
  readonly measured: ReadonlySet<string>;
  /** Those of them that a filter keeps. */
  readonly kept: ReadonlySet<string>;
}

/** Names a row of a dataset: its file, without the folder, and its line. */
export function rowKey({ file, line }: { readonly file: string; readonly line: number }): string {
  return `${file}:${String(line)}`;
}

/** A fault of a filter's field. */
export type FilterFault = (field: readonly string[], message: string) => Error;

/** An experiment's part of a plan. */
export interface PlanPart {
  /** Opens the run that the sweep takes scores from. @throws PatchbayError `bad_input` naming file, line and field. */
  openLender?(source: SweepSource, baseFolder: string): Lender | undefined;
  /** @throws PatchbayError `bad_input` naming file, line and field of the first fault. */
  check?(source: SweepSource, context: PlanContext): void;
  /** Whether it reads mean activations. */
  needsMeans?(sweep: Sweep): boolean;
  /** Whether it reads those of neurons too. */
  needsNeuronMeans?(sweep: Sweep): boolean;
  /** Whether it reads those of whole sites, where there are SAEs too. */
  needsSiteMeans?(sweep: Sweep): boolean;
  /** @throws PatchbayError `bad_input` where the prompts do not bear what the sweep asks for. */
  facts?(source: SweepSource, context: PlanContext): Partial<PlanFacts>;
  /**
   * Whether its artifacts hold measures of each prompt, and what those of the run in `folder` say of a dataset's rows.
   * @throws PatchbayError `bad_input` where the run is not complete, or lacks what the filter names; `damaged_artifact`.
   */
  filterRows?(folder: string, filter: RowFilter, fault: FilterFault): Promise<MeasuredRows>;
  /** Its stages, in an order in which each comes after those it depends on. */
  stages(context: StageContext): readonly Stage[];
}
