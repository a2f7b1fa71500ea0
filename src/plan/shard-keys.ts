/**
 * @file What a shard's payload depends on, as one hash. Shards of equal keys have equal payloads, whatever plans they are in.
 *
 * A key is made of:
 *
 * 1. what decides the bits of everything: the environment, the model, the SAEs, the metric;
 * 2. what the stage's kind says of a shard ({@link KeyedTask}): contents, never names or indexes. A kind that says nothing of itself gets
 *    the whole plan and the shard's id, so that its shards are equal in equal plans alone.
 *
 * A stage's key, for those that read its artifacts or records, is made of the keys of its shards in order.
 */
import type { Environment } from "../base/environment.js";
import { must } from "../base/assert.js";
import { canonicalJson, sha256 } from "../base/hash.js";
import { promptKey } from "../nodes/prompt.js";
import { promptUse } from "./held-out.js";
import { type Plan, promptsOf, type Shard, type Stage, type StageTask } from "./plan.js";
import { type HasTasks, taskKind } from "./task-kinds.js";

/** What a kind of stage has at hand to say what its shards depend on. */
export interface KeyInputs {
  readonly plan: Plan;
  /** Tokens and answers of a shard's prompts, as one hash. */
  readonly prompts: (shard: Shard) => string;
  /** The key of another stage: of its records, and of the numbers in its artifacts. */
  readonly after: (stage: string) => string;
}

/** What a kind of stage says of its shards' keys. */
export interface KeyedTask<Task extends StageTask = StageTask> {
  /** What a shard's payload depends on besides environment, model, SAEs and metric: values that JSON holds. */
  dependencies?(task: Task, inputs: KeyInputs): (shard: Shard) => unknown;
}

/** The key of every shard of a plan, by the shard's id. */
export function shardKeys(
  experiments: readonly HasTasks<KeyedTask>[],
  plan: Plan,
  environment: Environment,
): Map<string, string> {
  const common = hashOf(commonOf(plan, environment));
  const prompts = remembered(
    (shard: Shard) => shard.prompts.join(),
    (shard) => hashOf(promptsOf(plan, shard).map(promptKey)),
  );
  const whole = remembered(
    () => "",
    () => hashOf(plan),
  );
  const stageOf = (id: string): Stage =>
    must(
      plan.stages.find((stage) => stage.id === id),
      `stage ${id}`,
    );
  const ofStage = remembered(
    (id: string) => id,
    (id): ReadonlyMap<string, string> => {
      const { task, shards } = stageOf(id);
      const dependencies =
        taskKind(experiments, task).dependencies?.(task, { plan, prompts, after }) ??
        ((shard) => [whole(shard), shard.id]);
      return new Map(shards.map((shard) => [shard.id, hashOf([common, task.kind, dependencies(shard)])]));
    },
  );
  const after = remembered(
    (id: string) => id,
    (id) => {
      // What a stage of another run made is in the plan by its hash.
      const taken = plan.borrowed?.artifacts[`${id}.safetensors`];
      if (taken !== undefined) return taken;
      const keys = ofStage(id);
      return hashOf(stageOf(id).shards.map((shard) => [keys.get(shard.id), useOf(plan, shard)]));
    },
  );
  return new Map(plan.stages.flatMap(({ id }) => [...ofStage(id)]));
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

/** A function that works each name out once. */
export function remembered<Given, Found>(
  name: (given: Given) => string,
  find: (given: Given) => Found,
): (given: Given) => Found {
  const known = new Map<string, Found>();
  return (given) => {
    const key = name(given);
    const before = known.get(key);
    if (before !== undefined) return before;
    const found = find(given);
    known.set(key, found);
    return found;
  };
}
