/**
 * @file One sweep, for any number of workers, whatever engine is killed and wherever the records are: the artifacts are the same bytes. Runs
 * on every backend. What `npm test` runs of this: test/determinism on every backend, test/cluster/run-determinism.test.ts on wasm.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { patchbay, recordCount, runFile } from "../cluster/command.js";
import { startNatsServer, WITHOUT_NATS } from "../cluster/nats-server.js";
import { expectComplete, expectEngineKilled, out, runOf, undisturbedRun } from "../cluster/repeated-run.js";
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

  it("when an engine is killed in the middle", async () => {
    await expectEngineKilled("engine-killed", expected);
  });

  it.skipIf(WITHOUT_NATS)("with the JetStream run log", async () => {
    const server = await startNatsServer();
    try {
      const ended = await patchbay(runOf("jetstream", "--workers", "2", "--log", server.url));
      expect(ended.stderr).toBe("");
      expect(ended.code).toBe(0);
      expectComplete("jetstream", expected);
      expect(recordCount(out("jetstream"))).toBe(runFile(out("jetstream")).counts["shards"]);
    } finally {
      await server.stop();
    }
  });
});
