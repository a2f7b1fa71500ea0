/**
 * @file What a shard's payload depends on, by hashes. Shards of equal keys have equal payloads, whatever plans they are in.
 *
 * A key is made of:
 *
 * 1. what decides the bits of everything: the environment, the model, the SAEs, the metric;
 * 2. what the stage's kind says of all its shards ({@link KeyedTask}): contents, never names or indexes;
 * 3. what it says of a shard besides: hashes of the block's prompts, and of what is in the range of slots. Shards of a block share the one,
 *    those of a range the other, so a plan of very many shards needs few hashes.
 *
 * A kind that says nothing of itself gets the whole plan and the shard's id, so that its shards are equal in equal plans alone.
 *
 * A stage's key, for those that read its artifacts or records, is made of the keys of its shards in order.
 */
import { createHash } from "node:crypto";
import type { Environment } from "../base/environment.js";
import { must } from "../base/assert.js";
import { canonicalJson, sha256 } from "../base/hash.js";
import { promptKey } from "../nodes/prompt.js";
import { promptUse } from "./held-out.js";
import { type Plan, promptsOf, type Shard, type Stage, type StageTask } from "./plan.js";
import type { SlotRange } from "./stage-shards.js";
import { storedPlan } from "./stored-plan.js";
import { type HasTasks, taskKind } from "./task-kinds.js";

/** What a kind of stage has at hand to say what its shards depend on. */
export interface KeyInputs {
  readonly plan: Plan;
  /** Tokens and answers of a shard's prompts, as one hash. */
  readonly prompts: (shard: Shard) => string;
  /** The key of another stage: of its records, and of the numbers in its artifacts. */
  readonly after: (stage: string) => string;
}

/** What the payloads of a stage's shards depend on besides environment, model, SAEs and metric. */
export interface Dependencies {
  /** What all shards of the stage depend on: a value that JSON holds. */
  readonly stage: unknown;
  /** What a shard depends on besides, as hashes in a fixed order. Many shards share each, so that each is worked out once. */
  readonly shard: (shard: Shard) => readonly string[];
}

/** What a kind of stage says of its shards' keys. */
export interface KeyedTask<Task extends StageTask = StageTask> {
  dependencies?(task: Task, inputs: KeyInputs): Dependencies;
}

/** The key of a shard. */
export type ShardKey = readonly [shard: string, key: string];

/**
 * The keys of a plan's shards, in order, each made when it is asked for.
 * @param name - a shorter name of each hash that keys are made of, where many keys are held: the same for all plans that are compared.
 */
export function* shardKeys(
  experiments: readonly HasTasks<KeyedTask>[],
  plan: Plan,
  environment: Environment,
  name: (hash: string) => string = (hash) => hash,
): Generator<ShardKey, void> {
  const partsOf = keyParts(experiments, plan, environment);
  for (const { id, shards } of plan.stages) {
    if (shards.length === 0) continue;
    const parts = partsOf(id);
    for (const shard of shards) yield [shard.id, parts(shard).map(name).join(" ")];
  }
}

/** For each stage, the hashes that the key of a shard is made of. */
function keyParts(
  experiments: readonly HasTasks<KeyedTask>[],
  plan: Plan,
  environment: Environment,
): (stage: string) => (shard: Shard) => readonly string[] {
  const common = hashOf(commonOf(plan, environment));
  const prompts = byPrompts((shard) => hashOf(promptsOf(plan, shard).map(promptKey)));
  const stageOf = (id: string): Stage =>
    must(
      plan.stages.find((stage) => stage.id === id),
      `stage ${id}`,
    );
  const ofStage = remembered((id: string) => {
    const { task } = stageOf(id);
    const found = taskKind(experiments, task).dependencies?.(task, { plan, prompts, after }) ?? wholePlan(plan);
    const own = hashOf([common, task.kind, found.stage]);
    return (shard: Shard) => [own, ...found.shard(shard)];
  });
  const after = remembered((id: string) => {
    // What a stage of another run made is in the plan by its hash.
    const taken = plan.borrowed?.artifacts[`${id}.safetensors`];
    if (taken !== undefined) return taken;
    const keys = createHash("sha256");
    const parts = ofStage(id);
    for (const shard of stageOf(id).shards) keys.update(`${parts(shard).join(" ")} ${useOf(plan, shard) ?? ""}\n`);
    return keys.digest("hex");
  });
  return ofStage;
}

/** Shards of a kind that says nothing of itself are equal in equal plans alone. */
function wholePlan(plan: Plan): Dependencies {
  return { stage: hashOf(storedPlan(plan)), shard: ({ id }) => [id] };
}

/** What decides the bits of every shard. */
function commonOf({ fingerprints: { model, saes }, saes: sites, sweep }: Plan, environment: Environment): unknown {
  const { metric } = sweep;
  return { environment, model, saes, sites: sites.map(({ published: _published, ...site }) => site), metric };
}

/** Where rows are held out, a reduction leaves some shards aside by what their prompts are for. */
function useOf(plan: Plan, { prompts: [first] }: Shard): string | null {
  return first === undefined ? null : promptUse(plan, first);
}

/** Hash of a value that JSON holds. */
export function hashOf(value: unknown): string {
  return sha256(canonicalJson(value));
}

/** A function that works out once what it gives for each string. */
export function remembered<Found>(find: (given: string) => Found): (given: string) => Found {
  const known = new Map<string, { readonly found: Found }>();
  return (given) => {
    const before = known.get(given) ?? { found: find(given) };
    known.set(given, before);
    return before.found;
  };
}

/** What `find` gives for a shard's prompts, worked out once for each block: its shards hold the same list. */
export function byPrompts(find: (shard: Shard) => string): (shard: Shard) => string {
  const known = new WeakMap<Shard["prompts"], string>();
  return (shard) => {
    const before = known.get(shard.prompts) ?? find(shard);
    known.set(shard.prompts, before);
    return before;
  };
}

/** What `find` gives for a shard's slots, worked out once for each range. */
export function bySlots<Found>(find: (slots: SlotRange) => Found): (shard: Shard) => Found {
  const known = new Map<number, Map<number, { readonly found: Found }>>();
  return ({ slots }) => {
    const [start, end] = must(slots, "slots");
    const ends = known.get(start) ?? new Map<number, { readonly found: Found }>();
    const before = ends.get(end) ?? { found: find([start, end]) };
    known.set(start, ends.set(end, before));
    return before.found;
  };
}
