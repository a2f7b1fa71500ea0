/** @file The plan: everything a run will do, fixed before it starts. It depends on the sweep and its inputs alone. */
import { must } from "../base/assert.js";
import type { Prompt } from "../nodes/prompt.js";
import type { SaeSiteAt } from "../nodes/site.js";
import type { PublishedSae } from "../hub/published-sae.js";
import type { HubInputs } from "../hub/snapshot.js";
import type { SaeOptions } from "../weights/sae-folder.js";
import type { Donors } from "./donors.js";
import type { ResolvedSweep } from "../sweep/sweep.js";
import { placeOf, type Shard, type StageShards } from "./stage-shards.js";

/** An SAE of the sweep: where it sits and how large it is. */
export interface SaeSite extends SaeSiteAt {
  /** Width of the site's activation. */
  readonly dIn: number;
  /** Number of features. */
  readonly dSae: number;
  /** Its names, where it came from a repository whose SAEs are known; absent for every other, so that its plan says nothing. */
  readonly published?: PublishedSae;
}

/** Sizes that planning and reduction need; the checkpoint's config.json holds the rest. */
export interface ModelShape {
  readonly nLayers: number;
  readonly dModel: number;
  readonly nHeads: number;
  readonly headDim: number;
  readonly dMlp: number;
}

/** Block shapes. They fix the shapes of every matrix product, and so the bits of the results. */
export interface Blocks {
  /** Prompts in one block, all of one length, and of one layout of spans. */
  readonly prompts: number;
  /** (prompt, node) rows that true patching runs at once. */
  readonly truthRows: number;
  /** (evaluation, side, prompt) rows that circuit evaluation runs at once. */
  readonly circuitRows: number;
}

/** What the shards of a stage compute: the experiment that has tasks of this kind knows the rest. */
export interface StageTask {
  readonly kind: string;
}

export type { Shard };

/** A shard's prompts. */
export function promptsOf({ prompts }: Plan, shard: Shard): Prompt[] {
  return shard.prompts.map((index) => must(prompts[index], "prompt"));
}

/** One stage of the DAG. */
export interface Stage {
  /** Stages that are parts of one whole are called `<whole>-<part>`; the whole's name has no hyphen. */
  readonly id: string;
  readonly task: StageTask;
  /** Stages whose artifacts this one reads. */
  readonly dependsOn: readonly string[];
  /** Files under `artifacts/` that its shards need on the worker: written by the stages it depends on, or taken from another run. */
  readonly reads: readonly string[];
  readonly shards: StageShards;
}

/** Of the format of plan.json. */
export const PLAN_VERSION = 2;

/**
 * Everything a run will do. It holds no path, host or time. On the disk it is two files (stored-plan.ts), of which the first holds the hash of
 * the second; the hash of the first is the plan hash.
 */
export interface Plan {
  readonly version: typeof PLAN_VERSION;
  readonly sweep: ResolvedSweep;
  readonly fingerprints: {
    readonly model: string;
    readonly saes: string | null;
    readonly dataset: string;
    /** Of the rows that choose, where they are others than `dataset`'s. */
    readonly select?: string;
    /** Of the dataset that errors are split on. */
    readonly fit?: string;
  };
  readonly shape: ModelShape;
  readonly saes: readonly SaeSite[];
  /** Kept prompts in file order, those that are evaluated first: `prompt` columns index this list. */
  readonly prompts: readonly Prompt[];
  /** Prompts that run together, as indexes into that list: stages take their shards' prompts from it. */
  readonly promptBlocks: readonly (readonly number[])[];
  /** How many of the prompts are evaluated, where the others choose (`held-out.ts`); absent where all do both. */
  readonly evaluated?: number;
  /** Pairs that errors are split on, in file order; absent where the sweep splits none. */
  readonly fitPrompts?: readonly Prompt[];
  /** The run that scores and means are taken from, and the hashes of what is; absent where all are its own. */
  readonly borrowed?: { readonly plan: string; readonly artifacts: Readonly<Record<string, string>> };
  /** Resample ablation: every draw of donors; null where no circuit resamples. */
  readonly donors: readonly Donors[] | null;
  readonly engine: { readonly threads: number; readonly blockMib: number; readonly backend: string };
  readonly blocks: Blocks;
  /** Truth: number of slots of the node list, by kind in order. */
  readonly nodeSlots: number;
  readonly stages: readonly Stage[];
}

/** The run that scores and means are taken from. */
export interface LenderPlace {
  readonly path: string;
  readonly plan_hash: string;
  /** How many of the evaluated prompts are among those that its scores and means are over. */
  readonly shared_prompts: number;
}

/** The shard that an id names; undefined where the plan has none. */
export function findShard({ stages }: Plan, id: string): { readonly stage: Stage; readonly shard: Shard } | undefined {
  const place = placeOf({ stages }, id);
  if (place === undefined) return undefined;
  const stage = must(stages[place.stage], "stage");
  return { stage, shard: stage.shards.at(place.shard) };
}

/** Where the inputs lie on this machine. Not part of the plan: equal inputs in other folders are the same run. */
export interface InputPaths {
  /** Folders are absolute. */
  readonly model: string;
  readonly saes: string | null;
  readonly dataset: string;
  /** The rows that choose, where they are others. */
  readonly select?: string;
  /** The dataset that errors are split on. */
  readonly fit?: string;
  /** The run that scores and means are taken from. */
  readonly from?: LenderPlace;
  readonly saeOptions: SaeOptions;
  /** What of it a hub gave, at which commit; workers fetch the same files. */
  readonly hub?: HubInputs;
}
