/**
 * @file One sweep with two workers, one of which is killed: the artifacts are the bytes of one worker that nobody disturbs. Runs on every
 * backend, in a vitest project for each; test/nightly has more numbers of workers and more deaths.
 *
 * The kill is real (SIGKILL to a process of the run, while it works) and proved: the process is gone, records were missing when
 * it died, and the run says that it started a process again.
 */
import { beforeAll, expect, test } from "vitest";
import { runFile, start } from "../cluster/command.js";
import { expectComplete, killMidRun, out, runOf, undisturbedRun } from "../cluster/repeated-run.js";
import { TEST_BACKEND } from "../numeric/test-backend.js";

let expected: Record<string, string> = {};
beforeAll(async () => {
  expected = await undisturbedRun("one");
  expect(runFile(out("one")).fingerprints).toMatchObject({ backend: TEST_BACKEND });
});

test("the artifacts of a sweep are the same bytes with two workers, one of which is killed in the middle", async () => {
  const run = start(runOf("worker-killed", "--workers", "2"));
  await killMidRun("worker-killed", "worker");
  const ended = await run.ended;
  expect(ended.stdout).toContain("died (SIGKILL)");
  expect(ended.code).toBe(0);
  expectComplete("worker-killed", expected);
});
