/**
 * @file A plan as it lies on the disk: two files, which the plan hash fixes together.
 *
 * 1. `plan-prompts.json` lists what there is one of for each prompt: tokens, blocks, donors. It grows with the dataset.
 * 2. `plan.json` holds the rest, stages by their rules, and the SHA-256 of the first file's bytes. It does not grow with shards or prompts.
 * 3. The plan hash is the SHA-256 of the canonical JSON of `plan.json`: whoever knows it can check both.
 */
import { z } from "zod";
import { badInput } from "../base/errors.js";
import { canonicalJson, sha256 } from "../base/hash.js";
import { parseJson } from "../base/read-file.js";
import { type Plan, PLAN_VERSION, type Stage } from "./plan.js";
import { type ShardRule, StageShards } from "./stage-shards.js";

/** The first file of a plan. */
export const PLAN_FILE = "plan.json";
/** The second file of a plan. */
export const PLAN_PROMPTS_FILE = "plan-prompts.json";

/** What there is one of for each prompt. */
type PromptLists = Pick<Plan, "prompts" | "promptBlocks" | "fitPrompts" | "donors">;

/** What plan.json holds. */
interface StoredPlan extends Omit<Plan, keyof PromptLists | "stages"> {
  /** SHA-256 of the bytes of plan-prompts.json. */
  readonly promptLists: string;
  readonly stages: readonly (Omit<Stage, "shards"> & { readonly shards: ShardRule })[];
}

/** A plan is immutable, and its lists are long: their hash is worked out once. */
const listHashes = new WeakMap<Plan, string>();

/** What is written of a plan. */
export function planTexts(plan: Plan): { readonly plan: string; readonly prompts: string } {
  return { plan: `${canonicalJson(storedPlan(plan))}\n`, prompts: promptsText(plan) };
}

/** The hash that names a plan. */
export function hashOfPlan(plan: Plan): string {
  return sha256(canonicalJson(storedPlan(plan)));
}

/** What plan.json holds of a plan. */
export function storedPlan(plan: Plan): StoredPlan {
  const { prompts: _p, promptBlocks: _b, fitPrompts: _f, donors: _d, stages, ...rest } = plan;
  const rules = stages.map(({ shards, ...stage }) => ({ ...stage, shards: shards.rule }));
  return { ...rest, promptLists: listHash(plan), stages: rules };
}

/**
 * The plan that two files hold.
 * @param texts - what is in them; the second is read once the first is known to be sound.
 * @param planHash - what the plan has to be called.
 * @param file - the path of plan.json, for errors.
 * @throws PatchbayError `bad_input` for a plan of another version, or where the files are not those that the hash names.
 */
export function openPlan(
  texts: { readonly plan: string; readonly prompts: () => string },
  planHash: string,
  file: string,
): Plan {
  const stored = parseJson(texts.plan, z.looseObject({ version: z.unknown() }), { file }) as unknown as StoredPlan;
  if ((stored.version as number) !== PLAN_VERSION)
    throw badInput(
      `expected a plan of version ${String(PLAN_VERSION)}, found ${String(stored.version)}: another Patchbay made the run, use that one for it, or run the sweep again with a new --out`,
      { file },
    );
  const found = sha256(canonicalJson(stored));
  if (found !== planHash)
    throw badInput(`expected the plan ${planHash}, found ${found}; the file was changed, use a new --out`, { file });
  return restorePlan(stored, texts.prompts(), file);
}

function restorePlan({ promptLists, stages, ...rest }: StoredPlan, text: string, file: string): Plan {
  const found = sha256(text);
  if (found !== promptLists)
    throw badInput(
      `names a ${PLAN_PROMPTS_FILE} of SHA-256 ${promptLists}, found ${found} beside it; the file was changed, use a new --out`,
      { file },
    );
  const lists = JSON.parse(text) as PromptLists;
  const plan: Plan = {
    ...rest,
    ...lists,
    stages: stages.map((stage) => ({ ...stage, shards: new StageShards(stage.id, lists.promptBlocks, stage.shards) })),
  };
  listHashes.set(plan, promptLists);
  return plan;
}

function listHash(plan: Plan): string {
  const known = listHashes.get(plan);
  if (known !== undefined) return known;
  const hash = sha256(promptsText(plan));
  listHashes.set(plan, hash);
  return hash;
}

function promptsText({ prompts, promptBlocks, fitPrompts, donors }: Plan): string {
  const lists: PromptLists = { prompts, promptBlocks, donors, ...(fitPrompts === undefined ? {} : { fitPrompts }) };
  return `${canonicalJson(lists)}\n`;
}
