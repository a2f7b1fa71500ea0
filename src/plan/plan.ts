/** @file The plan: everything a run will do, fixed before it starts. It depends on the sweep and its inputs alone. */
import { unreachable } from "../base/assert.js";
import type { Prompt } from "../nodes/prompt.js";
import type { NodeKind } from "../nodes/kinds.js";
import type { SiteAt } from "../nodes/site.js";
import type { HubInputs } from "../hub/snapshot.js";
import type { SaeOptions } from "../weights/sae-folder.js";
import type { Donors } from "./donors.js";
import type { ResolvedSweep, ScoreSpec } from "./sweep.js";

/** An SAE of the sweep: where it sits and how large it is. */
export interface SaeSite extends SiteAt {
  /** Width of the site's activation. */
  readonly dIn: number;
  /** Number of features. */
  readonly dSae: number;
}

/** Sizes that planning and reduction need; the checkpoint's config.json holds the rest. */
export interface ModelShape {
  readonly nLayers: number;
  readonly dModel: number;
  readonly nHeads: number;
  readonly headDim: number;
}

/** Block shapes. They fix the shapes of every matrix product, and so the bits of the results. */
export interface Blocks {
  /** Prompts in one block, all of one length. */
  readonly prompts: number;
  /** (prompt, node) rows that true patching runs at once. */
  readonly truthRows: number;
  /** (evaluation, side, prompt) rows that circuit evaluation runs at once. */
  readonly circuitRows: number;
}

/** What the shards of a stage compute. */
export type StageTask =
  | { readonly kind: "means" }
  | { readonly kind: "scores"; readonly score: ScoreSpec }
  /** `floor` repeats a part of the truth with another block shape, for the numeric noise floor. */
  | { readonly kind: "truth"; readonly nodes: NodeKind; readonly rowsPerBlock: number; readonly floor: boolean }
  | { readonly kind: "circuits" }
  /**
   * Stages without shards: their reduction runs as soon as the stages they depend on are reduced.
   * `nodes` chooses the truth's nodes; `validation` joins truth and scores and computes the statistics.
   */
  | { readonly kind: "nodes" }
  | { readonly kind: "validation" }
  | NoopTask;

/** Tasks whose shards run a program on the model. */
export type ProgramTask = Exclude<StageTask, { readonly kind: "nodes" | "validation" | "noop" }>;

/** The task as one that runs a program; null where it runs none. */
export function programTask(task: StageTask): ProgramTask | null {
  switch (task.kind) {
    case "means":
    case "scores":
    case "truth":
    case "circuits":
      return task;
    case "nodes":
    case "validation":
    case "noop":
      return null;
    default:
      return unreachable(task);
  }
}

/** Nothing is computed: for measuring what a shard costs besides its computation, and for testing the cluster's recovery. */
export interface NoopTask {
  readonly kind: "noop";
  /** How long each shard takes; absent: as fast as possible. */
  readonly milliseconds?: number;
  /** Size of each payload. */
  readonly bytes?: number;
  readonly faults?: readonly NoopFault[];
}

/** What goes wrong with a `noop` shard, in its first `attempts` attempts. */
export interface NoopFault {
  readonly shard: string;
  readonly kind: "application" | "non_finite" | "out_of_memory" | "exit" | "hang" | "other_bytes";
  readonly attempts: number;
}

/** A unit of work: prompts of one length, and a range of slots. */
export interface Shard {
  /** `<stage>.<five digits>`; also the run-log key. */
  readonly id: string;
  /** Indexes into {@link Plan.prompts}, all of one token count. */
  readonly prompts: readonly number[];
  /**
   * Half-open range: node slots (truth: rows of nodes.parquet) or evaluations (circuits: of `evaluationsOf`).
   * Absent where the stage has no slots.
   */
  readonly slots?: readonly [start: number, end: number];
}

/** One stage of the DAG. */
export interface Stage {
  readonly id: string;
  readonly task: StageTask;
  /** Stages whose artifacts this one reads. */
  readonly dependsOn: readonly string[];
  /** Files under `artifacts/` that its shards need on the worker, written by the stages it depends on. */
  readonly reads: readonly string[];
  readonly shards: readonly Shard[];
}

/** Everything a run will do. Its canonical JSON is hashed into the plan hash; it holds no path, host or time. */
export interface Plan {
  readonly version: 1;
  readonly sweep: ResolvedSweep;
  readonly fingerprints: { readonly model: string; readonly saes: string | null; readonly dataset: string };
  readonly shape: ModelShape;
  readonly saes: readonly SaeSite[];
  /** Kept prompts in file order: `prompt` columns index this list. */
  readonly prompts: readonly Prompt[];
  /** Resample ablation: every draw of donors; null where no circuit resamples. */
  readonly donors: readonly Donors[] | null;
  readonly engine: { readonly threads: number; readonly blockMib: number; readonly backend: string };
  readonly blocks: Blocks;
  /** Truth: number of slots of the node list, by kind in order. */
  readonly nodeSlots: number;
  readonly stages: readonly Stage[];
}

/** Where the inputs lie on this machine. Not part of the plan: equal inputs in other folders are the same run. */
export interface InputPaths {
  /** Folders are absolute. */
  readonly model: string;
  readonly saes: string | null;
  readonly dataset: string;
  readonly saeOptions: SaeOptions;
  /** What of it a hub gave, at which commit; workers fetch the same files. */
  readonly hub?: HubInputs;
}
