import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { sha256 } from "../../../src/base/hash.js";
import {
  openServedRun,
  replay,
  toRunToAdd,
  verifyReport,
  type ServedRun,
} from "../../../src/coordinator/served-run.js";
import type { Plan } from "../../../src/plan/plan.js";
import { createRunFolder, writeRunFile } from "../../../src/run/run-folder.js";
import type { RecordEnvelope } from "../../../src/runlog/run-log.js";
import { environmentFingerprint, type Environment } from "../../../src/base/environment.js";
import { StageShards } from "../../../src/plan/stage-shards.js";
import { hashOfPlan } from "../../../src/plan/stored-plan.js";

const ENVIRONMENT: Environment = {
  code: "1",
  backend: "wasm",
  device: "cpu",
  threads: 1,
  dtype: "float32",
  tfjs: "core 4.22.0",
};
const PLAN = {
  version: 2,
  sweep: { name: "run", dtype: "float32" },
  fingerprints: { model: "m", saes: null, dataset: "d" },
  prompts: [],
  engine: { threads: 1, blockMib: 1, backend: "wasm" },
  stages: [
    {
      id: "first",
      task: { kind: "noop" },
      dependsOn: [],
      reads: [],
      shards: new StageShards("first", [], { blocks: null, slots: [[0, 3]], cells: 1 }),
    },
  ],
} as unknown as Plan;
const PLAN_HASH = hashOfPlan(PLAN);

let folder: string;
let run: ServedRun;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-served-"));
  createRunFolder(folder, PLAN);
  writeRunFile(folder, {
    version: 1,
    name: "run",
    status: "running",
    reason: "",
    plan_hash: PLAN_HASH,
    sweep: {},
    inputs: { model: "/m", saes: null, dataset: "/d", saeOptions: {} },
    fingerprints: { ...PLAN.fingerprints, ...ENVIRONMENT },
    counts: { prompts: 0, dropped: 0, shards: 3, done: 0, quarantined: 0, retries: 0, workers: 0 },
    quarantined: [],
    timings: {},
    weight_loading_seconds: 0,
    warnings: [],
    allow_partial: true,
    started: "2026-01-01T00:00:00.000Z",
    ended: null,
  });
  run = await openServedRun({ folder, log: "dir" });
});

afterEach(async () => {
  await run.close();
  rmSync(folder, { recursive: true, force: true });
});

async function append(shard: string, change: Partial<RecordEnvelope> = {}): Promise<void> {
  const payload = Buffer.from(shard);
  const envelope: RecordEnvelope = {
    version: 1,
    planHash: PLAN_HASH,
    shard,
    attempt: 1,
    epoch: 4,
    worker: "w",
    environment: environmentFingerprint(ENVIRONMENT),
    dtype: "float32",
    count: 1,
    sha256: sha256(payload),
    seconds: 2,
    units: { rows: 3 },
    ...change,
  };
  await run.log.append(envelope, payload);
}

test("sound records of the plan's shards count as done, with their work", async () => {
  await append("first.00001");
  await append("other.00000");
  const found = await replay(run);
  expect(found.epoch).toBe(4);
  expect(toRunToAdd(run, found)).toMatchObject({
    planHash: PLAN_HASH,
    allowPartial: true,
    environment: ENVIRONMENT,
    stages: [{ id: "first", shards: 3 }],
  });
  const [recorded] = found.recorded;
  expect([0, 1, 2].map((index) => recorded?.has(index))).toEqual([false, true, false]);
  expect(recorded).toMatchObject({
    all: { engineSeconds: 2, units: { rows: 3 } },
    reused: { engineSeconds: 0, units: {} },
  });
});

test("a damaged record is as good as none", async () => {
  await append("first.00001");
  const file = join(folder, "log", "first", "00001.record");
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  writeFileSync(file, bytes);
  expect((await replay(run)).records).toBe(0);
});

test.each<[string, Partial<RecordEnvelope>, string]>([
  ["another plan", { planHash: "other" }, "different_plan"],
  ["another environment", { environment: "other" }, "different_environment"],
])("a record of %s is refused, named", async (_what, change, code) => {
  await append("first.00001", change);
  await expect(replay(run)).rejects.toMatchObject({ code, message: expect.stringContaining("first.00001") as string });
});

test("a report without a record is not believed", async () => {
  const report = { worker: "w", lease: "1", shard: "first.00002", sha256: sha256("first.00002") };
  await expect(verifyReport(run, report)).rejects.toMatchObject({ code: "corrupt_record" });
  await append("first.00002");
  await expect(verifyReport(run, report)).resolves.toMatchObject({ sha256: report.sha256, seconds: 2 });
});

test("a record is read when the log that holds it is back", async () => {
  await append("first.00002");
  let away = 3;
  const log = {
    ...run.log,
    read: (shard: string) =>
      away-- > 0 ? Promise.reject(new PatchbayError("nats_unreachable", "away")) : run.log.read(shard),
  };
  const report = { worker: "w", lease: "1", shard: "first.00002", sha256: sha256("first.00002") };
  await expect(verifyReport({ ...run, log }, report)).resolves.toMatchObject({ sha256: report.sha256 });
  expect(away).toBe(-1);
});

test("a run keeps its id when it is opened again", async () => {
  const again = await openServedRun({ folder, log: "dir" });
  expect(again.id).toBe(run.id);
  expect(run.id).toMatch(/^run-[0-9a-f]{8}-[0-9a-f]{6}$/);
  await again.close();
});
