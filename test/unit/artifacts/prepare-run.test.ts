import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Environment } from "../../../src/base/environment.js";
import type { PlannedRun } from "../../../src/plan/make-plan.js";
import { prepareRun } from "../../../src/artifacts/prepare-run.js";
import { readRunFile, runPaths } from "../../../src/run/run-folder.js";
import { decodePrompts } from "../../../src/artifacts/prompts-file.js";
import type { PromptText } from "../../../src/prompts/prompt-text.js";
import { readArtifact } from "../../../src/run/artifacts.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { NO_SHARDS, StageShards } from "../../../src/plan/stage-shards.js";
import { hashOfPlan } from "../../../src/plan/stored-plan.js";
import type { Plan } from "../../../src/plan/plan.js";

const environment: Environment = {
  code: "1",
  backend: "wasm",
  device: "cpu",
  threads: 1,
  dtype: "float32",
  tfjs: "core 4.22.0",
};
const TEXT: PromptText = {
  file: "rows.jsonl",
  clean: { text: "a", tokens: ["<bos>", "a"] },
  corrupted: { text: "b", tokens: ["<bos>", "b"] },
  correct: " is",
  incorrect: [" are"],
};
const plan = {
  version: 2,
  sweep: { name: "run", metric: { reduce: "max" } },
  fingerprints: { model: "m", saes: null, dataset: "d" },
  saes: [],
  prompts: [
    { line: 1, clean: [2, 5], corrupted: [2, 6], correct: 7, incorrect: [8], cluster: "cat" },
    { line: 2, clean: [2, 5], corrupted: [2, 6], correct: 7, incorrect: [8], cluster: "cat" },
  ],
  promptBlocks: [[0, 1]],
  stages: [
    { id: "means", task: { kind: "means" }, dependsOn: [], reads: [], shards: new StageShards("means", [], NO_SHARDS) },
  ],
};
const planned = {
  plan,
  planHash: hashOfPlan(plan as unknown as Plan),
  inputs: { model: "/m", saes: null, dataset: "/d", saeOptions: {} },
  texts: [TEXT, TEXT],
  dropped: [],
  filteredBy: [],
  borrowed: [],
} as unknown as PlannedRun;

let folder: string;

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "patchbay-prepare-")), "run");
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const prepare = (change: Partial<Environment> = {}) =>
  prepareRun(REGISTER.experiments, planned, {
    out: folder,
    environment: { ...environment, ...change },
    allowPartial: false,
  });

it("a run is continued in the environment that it was begun in, which run.json names part by part", () => {
  expect(prepare().start).toBe("new");
  expect(readRunFile(folder).fingerprints).toEqual({ ...plan.fingerprints, ...environment });
  expect(prepare().start).toBe("continued");
});

it("prompts are an artifact from the start, and run.json counts those that repeat another and their clusters", async () => {
  prepare();
  expect(await decodePrompts(await readArtifact(folder, "prompts.parquet"))).toHaveLength(2);
  expect(readRunFile(folder).counts).toMatchObject({ prompts: 2, repeated: 1, clusters: 1 });
});

it.each([
  [{ device: "cuda" }, "device: was cpu, is cuda"],
  [{ tfjs: "core 4.21.0" }, "tfjs: was core 4.22.0, is core 4.21.0"],
])("a run is refused in another environment, and %j is named", (change, words) => {
  prepare();
  const code = "different_environment";
  expect(() => prepare(change)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(words) as string }),
  );
});

it("a run of a release that did not record tfjs can be read, and is refused by its name", () => {
  prepare();
  const file = runPaths(folder).run;
  writeFileSync(file, readFileSync(file, "utf8").replace(/,\s*"tfjs": "core 4.22.0"/, ""));
  expect(readRunFile(folder).fingerprints).toMatchObject({ tfjs: "not recorded" });
  expect(() => prepare()).toThrow(/environment \(tfjs: was not recorded, is core 4\.22\.0\)/);
});

it("a run of another Node is continued, and so is one whose environment named its Node", () => {
  prepare();
  const file = runPaths(folder).run;
  const older = readFileSync(file, "utf8").replace(/("tfjs": "core 4.22.0")/, '"node": "1", $1');
  expect(older).toContain('"node": "1"');
  writeFileSync(file, older);
  expect(prepare().start).toBe("continued");
});
