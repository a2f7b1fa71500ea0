/**
 * @file One sweep, whatever happens to its coordinator, its command and its engine: the artifacts are the same bytes. Workers:
 * test/determinism. Each kill is real and proved, as there. Records in JetStream: night.test.ts, and test/nightly.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { TEST_BACKEND } from "../numeric/test-backend.js";
import { isAlive, listedProcesses, patchbay, recordCount, runFile, start, until } from "./command.js";
import {
  expectComplete,
  expectEngineKilled,
  killMidRun,
  out,
  runOf,
  scratch,
  sweep,
  TINY_A,
  undisturbedRun,
} from "./repeated-run.js";

let expected: Record<string, string> = {};
beforeAll(async () => {
  expected = await undisturbedRun("one");
});

describe("the artifacts of a sweep are the same bytes", () => {
  it("when the coordinator is killed in the middle", async () => {
    const run = start(runOf("coordinator-killed", "--workers", "2"));
    await killMidRun("coordinator-killed", "coordinator");
    const ended = await run.ended;
    expect(ended.stdout).toContain("coordinator died (SIGKILL)");
    expect(ended.code).toBe(0);
    expectComplete("coordinator-killed", expected);
  });

  it("when the command itself is killed and started again, and nothing it started survives it", async () => {
    const run = start(runOf("run-killed", "--workers", "2"));
    await until("records", () => (recordCount(out("run-killed")) > 2 ? true : undefined));
    const processes = await until("all processes", () => {
      const listed = listedProcesses(out("run-killed"));
      return listed.filter(({ role }) => role === "engine").length === 2 ? listed : undefined;
    });
    run.child.kill("SIGKILL");
    expect((await run.ended).signal).toBe("SIGKILL");
    for (const { pid } of processes) await until(`the end of ${String(pid)}`, () => (isAlive(pid) ? undefined : true));
    const kept = recordCount(out("run-killed"));
    expect(runFile(out("run-killed")).status).not.toBe("complete");
    const again = await patchbay(runOf("run-killed", "--workers", "1"));
    expect(again.stdout).toContain("continuing");
    expect(again.code).toBe(0);
    expect(kept).toBeGreaterThan(2);
    expectComplete("run-killed", expected);
  });

  it("when an engine is killed in the middle", async () => {
    await expectEngineKilled("engine-killed", expected);
  });
});

describe("a complete run", () => {
  it("says so when it is started again, and computes nothing", async () => {
    const before = readFileSync(join(out("one"), "run.json"));
    const ended = await patchbay(runOf("one"));
    expect(ended.code).toBe(0);
    expect(ended.stdout).toContain("already complete");
    expect(readFileSync(join(out("one"), "run.json")).equals(before)).toBe(true);
  });

  it("holds every file of the contract, and no machine fact in an artifact", () => {
    for (const file of ["run.json", "plan.json", "report.html"])
      expect(readFileSync(join(out("one"), file)).length).toBeGreaterThan(0);
    for (const name of Object.keys(expected)) {
      expect(readFileSync(join(out("one"), "artifacts", name)).includes(scratch), name).toBe(false);
    }
    expect(readFileSync(join(out("one"), "plan.json"), "utf8")).not.toContain(TINY_A);
  });

  it("refuses another sweep in its folder and names the difference", async () => {
    const other = join(scratch, "other.yaml");
    writeFileSync(other, `${readFileSync(sweep, "utf8")}seed: 7\n`);
    const ended = await patchbay(["run", other, "--out", out("one"), "--backend", TEST_BACKEND]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain("they differ in sweep.seed");
  });
});
