import { expect, test } from "vitest";
import { sha256 } from "../../../src/base/hash.js";
import type { Stage } from "../../../src/plan/plan.js";
import type { EngineOutcome } from "../../../src/engine/engine-program.js";
import { noopProgram } from "../../../src/engine/noop-program.js";
import type { NoopTask } from "../../../src/experiments/noop/task.js";
import { StageShards } from "../../../src/plan/stage-shards.js";

const artifact = (name: string): Promise<never> => Promise.reject(new Error(`${name} is not read`));

function run(task: Omit<NoopTask, "kind">, attempt = 1): Promise<EngineOutcome> {
  const shard = { id: "noop.00001", prompts: [0, 1] };
  const shards = new StageShards("noop", [[], shard.prompts], { blocks: [0, 2] });
  const stage: Stage = { id: "noop", task: { kind: "noop", ...task }, dependsOn: [], reads: [], shards };
  return noopProgram.run(shard, stage, { artifact, attempt, progress: () => undefined });
}

test("the payload follows from the shard alone", async () => {
  const [one, two] = [await run({}), await run({ milliseconds: 10 }, 3)];
  expect(sha256(one.payload)).toBe(sha256(two.payload));
  expect(one).toMatchObject({ count: 2, units: { shards: 1 } });
  expect((await run({ bytes: 1000 })).payload).toHaveLength(1000);
});

test("a fault strikes in the first attempts only", async () => {
  const faults = [{ shard: "noop.00001", kind: "non_finite", attempts: 2 } as const];
  await expect(run({ faults }, 2)).rejects.toMatchObject({ code: "non_finite" });
  await expect(run({ faults }, 3)).resolves.toMatchObject({ count: 2 });
});

test("other bytes differ from attempt to attempt", async () => {
  const faults = [{ shard: "noop.00001", kind: "other_bytes", attempts: 1 } as const];
  expect(sha256((await run({ faults })).payload)).not.toBe(sha256((await run({ faults })).payload));
});
