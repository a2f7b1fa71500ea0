import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { sha256 } from "../../../src/base/hash.js";
import type { Plan } from "../../../src/plan/plan.js";
import { forEachRecord } from "../../../src/artifacts/stage-records.js";
import { openDirectoryLog } from "../../../src/runlog/directory-log.js";
import type { RunLog } from "../../../src/runlog/run-log.js";
import { StageShards } from "../../../src/plan/stage-shards.js";

const ids = ["means.00000", "means.00001", "means.00002"];
const plan = {
  stages: [
    { id: "means", shards: new StageShards("means", [[0]], { blocks: [0, 1], slots: [[0, ids.length]], cells: 1 }) },
  ],
} as unknown as Plan;

async function logWith(shards: readonly string[], planHash = "p"): Promise<RunLog> {
  const log = await openDirectoryLog(mkdtempSync(join(tmpdir(), "patchbay-records-")));
  for (const shard of shards) {
    const payload = new TextEncoder().encode(shard);
    const envelope = {
      version: 1,
      planHash,
      shard,
      attempt: 0,
      epoch: 0,
      worker: "w",
      environment: "e",
      dtype: "float32",
    } as const;
    await log.append({ ...envelope, count: 1, sha256: sha256(payload), seconds: 0, units: {} }, payload);
  }
  return log;
}

async function visited(log: RunLog, quarantined: readonly string[] = []): Promise<string[]> {
  const seen: string[] = [];
  await forEachRecord({ plan, planHash: "p", log, quarantined: new Set(quarantined) }, "means", ({ id }) =>
    seen.push(id),
  );
  return seen;
}

describe("forEachRecord", () => {
  it("visits records in shard order, whatever the order of arrival", async () => {
    expect(await visited(await logWith([...ids].reverse()))).toEqual(ids);
  });

  it("refuses to go on when a shard has no record", async () => {
    await expect(visited(await logWith(["means.00000", "means.00002"]))).rejects.toThrow(
      "shard means.00001 has no record",
    );
  });

  it("skips quarantined shards only", async () => {
    expect(await visited(await logWith(["means.00000", "means.00002"]), ["means.00001"])).toEqual([
      "means.00000",
      "means.00002",
    ]);
  });

  it("refuses a record of another plan", async () => {
    await expect(visited(await logWith(ids, "other"))).rejects.toThrow("belongs to plan other");
  });
});
