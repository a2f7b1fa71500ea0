/**
 * @file One sweep, for any number of workers and whoever is killed among those who compute: the artifacts are the same bytes. Runs on
 * every backend, in a vitest project for each.
 *
 * Each kill is real (SIGKILL to a process of the run, while it works) and proved: the process is gone, records were missing when
 * it died, and the run says that it started a process again or gave a shard out again.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { patchbay, runFile, start } from "../cluster/command.js";
import { expectComplete, killMidRun, out, runOf, undisturbedRun } from "../cluster/repeated-run.js";
import { TEST_BACKEND } from "../numeric/test-backend.js";

let expected: Record<string, string> = {};
beforeAll(async () => {
  expected = await undisturbedRun("one");
  expect(runFile(out("one")).fingerprints).toMatchObject({ backend: TEST_BACKEND });
});

describe("the artifacts of a sweep are the same bytes", () => {
  it.each([2, 3])("with %i workers", async (workers) => {
    const name = `workers-${String(workers)}`;
    const ended = await patchbay(runOf(name, "--workers", String(workers)));
    expect(ended.code).toBe(0);
    expectComplete(name, expected);
  });

  it("when a worker is killed in the middle", async () => {
    const run = start(runOf("worker-killed", "--workers", "2"));
    await killMidRun("worker-killed", "worker");
    const ended = await run.ended;
    expect(ended.stdout).toContain("died (SIGKILL)");
    expect(ended.code).toBe(0);
    expectComplete("worker-killed", expected);
  });

  it("when an engine is killed in the middle", async () => {
    // One worker: its engine has made the records that are there. One that dies while it loads costs no shard anything.
    const run = start(runOf("engine-killed", "--workers", "1"));
    await killMidRun("engine-killed", "engine");
    expect((await run.ended).code).toBe(0);
    expect(runFile(out("engine-killed")).counts["retries"]).toBeGreaterThan(0);
    expectComplete("engine-killed", expected);
  });
});
