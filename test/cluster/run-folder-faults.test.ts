/** @file What the same command finds wrong in its run folder: it is mended, or refused in words and with the right exit code. */
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { runPaths } from "../../src/run/run-folder.js";
import { artifactHashes, type Ended, patchbay, recordCount, runFile, start, until } from "./command.js";

const WORLD = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));

let folder = "";
let out = "";
let whole: Record<string, string>;

const run = (...flags: string[]): Promise<Ended> =>
  patchbay(["run", join(folder, "sweep.yaml"), "--out", out, ...flags]);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-faults-"));
  out = join(folder, "out");
  const sweep = {
    name: "faults",
    model: { path: join(WORLD, "model") },
    dataset: { path: join(WORLD, "data/pairs-with-faults.jsonl") },
    scores: [{ name: "atp", method: "atp" }],
  };
  writeFileSync(join(folder, "sweep.yaml"), JSON.stringify(sweep));
  expect(await run()).toMatchObject({ code: 0 });
  whole = artifactHashes(out);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("a complete run", () => {
  it("is left alone while its files are as they were written", async () => {
    const { code, stdout } = await run();
    expect(code).toBe(0);
    expect(stdout).toContain("already complete");
  });

  it.each([
    [
      "a torn artifact",
      "artifacts/scores-atp.safetensors",
      (path: string) => {
        truncateSync(path, 100);
      },
    ],
    [
      "a torn list of dropped rows",
      "artifacts/dropped.jsonl",
      (path: string) => {
        truncateSync(path, 5);
      },
    ],
    [
      "an artifact that is gone",
      "artifacts/components.parquet",
      (path: string) => {
        rmSync(path);
      },
    ],
    [
      "a report that is gone",
      "report.html",
      (path: string) => {
        rmSync(path);
      },
    ],
  ])("with %s is not taken for complete, and becomes so again", async (_what, file, damage) => {
    damage(join(out, file));
    const { code, stdout, stderr } = await run();
    expect(code, stderr).toBe(0);
    expect(stdout).toContain(`${file} was missing or damaged`);
    expect(artifactHashes(out)).toEqual(whole);
    expect(readFileSync(runPaths(out).report, "utf8")).toContain("</html>");
    expect(runFile(out).status).toBe("complete");
  });
});

describe("a run that the coordinator refuses", () => {
  let plan = "";

  beforeEach(() => {
    plan = readFileSync(runPaths(out).plan, "utf8");
  });

  it("has failed with exit code 2, not been interrupted, and continues once its folder is right", async () => {
    writeFileSync(runPaths(out).run, JSON.stringify({ ...runFile(out), status: "running", ended: null }));
    writeFileSync(runPaths(out).plan, plan.replace('"seed":0', '"seed":3'));
    const { code, stdout, stderr } = await run();
    expect(code, stdout).toBe(2);
    expect(stderr).toContain("the file was changed");
    expect(runFile(out).status).toBe("failed");
    writeFileSync(runPaths(out).plan, plan);
    expect(await run()).toMatchObject({ code: 0 });
    expect(artifactHashes(out)).toEqual(whole);
  });
});

it("an interrupted run prints its result as JSON too", async () => {
  const other = join(folder, "interrupted");
  const running = start(["run", join(folder, "sweep.yaml"), "--out", other, "--fresh", "--json"]);
  await until("the run to begin", () => (recordCount(other) > 0 || running.child.exitCode !== null ? true : undefined));
  running.child.kill("SIGINT");
  const { code, stdout } = await running.ended;
  // It may have been quicker than the signal.
  expect([0, 130]).toContain(code);
  expect(JSON.parse(stdout)).toMatchObject({ status: code === 130 ? "running" : "complete" });
});
