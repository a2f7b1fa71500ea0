/** @file Scores of a finished run: every way in which that run may not fit is refused, with the sweep's line and field. */
import { mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { prepareRun } from "../../../src/artifacts/prepare-run.js";
import { PatchbayError } from "../../../src/base/errors.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { planSweep, type PlannedRun } from "../../../src/plan/make-plan.js";
import { findDamage } from "../../../src/run/artifact-sums.js";
import { readArtifact, writeArtifact } from "../../../src/run/artifacts.js";
import { readRunFile, type RecordedStatus, runPaths, writeRunFile } from "../../../src/run/run-folder.js";

const TINY_A = resolve("test/fixtures/tiny-a");
const FOLDER = mkdtempSync(join(tmpdir(), "patchbay-lender-"));
const SCORES = "scores-atp.safetensors";
const MEANS = "means.safetensors";

const PAIRS = `name: pairs
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs.jsonl }
scores: [{ name: atp, method: atp }, { name: ig, method: ig, steps: 3 }]
means: true
`;
const PLAIN = `name: plain
model: { path: model }
saes: { path: saes }
dataset: { path: data/plain.jsonl }
scores: [{ name: atp, from: RUN }]
circuits: {}
`;

const { experiments } = REGISTER;
const planOf = (text: string, backend = "wasm"): Promise<PlannedRun> =>
  planSweep(experiments, { text, file: "sweep.yaml", baseFolder: TINY_A }, { backend, autoThreads: 1 });

/** Begins the run of a plan. Nothing is computed. */
function begin(planned: PlannedRun, out: string): string {
  const environment = { code: "c", backend: "wasm", device: "cpu", threads: 1, dtype: "float32", tfjs: "t" };
  return prepareRun(experiments, planned, { out, environment, allowPartial: false }).folder;
}

/** A run folder that looks finished: its artifacts have bytes of no meaning, which planning does not read. */
async function lend(name: string, text: string, status: RecordedStatus = "complete"): Promise<string> {
  const folder = begin(await planOf(text), join(FOLDER, name));
  for (const file of [SCORES, "scores-ig.safetensors", MEANS])
    writeArtifact(folder, file, Buffer.from(`${name} ${file}`));
  writeRunFile(folder, { ...readRunFile(folder), status });
  return folder;
}

const withRun = (run: string, text = PLAIN): string => text.replace("RUN", run);

async function faultOf(text: string): Promise<string> {
  const thrown = await planOf(text).catch((error: unknown) => error);
  if (!(thrown instanceof PatchbayError)) throw new Error(`expected a refusal, got ${JSON.stringify(thrown)}`);
  expect(thrown.code).toBe("bad_input");
  return thrown.message;
}

let run = "";
beforeAll(async () => {
  run = await lend("sva", PAIRS);
});

describe("a plan with scores of another run", () => {
  it("holds the hashes of what is used, so that it changes with them and not with the run's place", async () => {
    const { plan, planHash, inputs } = await planOf(withRun(run));
    expect(Object.keys(plan.borrowed?.artifacts ?? {})).toEqual([SCORES, MEANS]);
    expect(inputs.from?.path).toBe(run);
    const elsewhere = join(FOLDER, "moved");
    renameSync(run, elsewhere);
    const moved = await planOf(withRun(elsewhere));
    renameSync(elsewhere, run);
    expect(moved.planHash).toBe(planHash);
    const other = await planOf(withRun(await lend("other", PAIRS)));
    expect(other.plan.borrowed?.plan).toBe(plan.borrowed?.plan);
    expect(other.planHash).not.toBe(planHash);
  });

  it("takes no means where nothing is ablated to the mean", async () => {
    const { plan } = await planOf(withRun(run).replace("circuits: {}", "circuits: { ablation: zero }"));
    expect(Object.keys(plan.borrowed?.artifacts ?? {})).toEqual([SCORES]);
    expect(plan.stages.map(({ id, dependsOn, reads }) => [id, dependsOn, reads])).toEqual([["circuits", [], [SCORES]]]);
  });

  it("has scores of its own beside", async () => {
    const { plan } = await planOf(
      withRun(run).replace("RUN }]", "RUN }]").replace(" }]", " }, { name: zero, method: zero }]"),
    );
    expect(plan.stages.map(({ id }) => id)).toEqual(["scores-zero", "circuits"]);
  });
});

describe("a run folder with scores of another run", () => {
  it("has their bytes, and gets them again where they are damaged", async () => {
    const planned = await planOf(withRun(run));
    const folder = begin(planned, join(FOLDER, "borrower"));
    expect(await readArtifact(folder, SCORES)).toEqual(await readArtifact(run, SCORES));
    writeRunFile(folder, { ...readRunFile(folder), status: "complete", ended: "now" });
    writeFileSync(runPaths(folder).report, "");
    expect(findDamage(experiments, folder, planned.plan)).toBeUndefined();
    truncateSync(runPaths(folder).artifact(MEANS), 3);
    const again = prepareRun(experiments, planned, {
      out: folder,
      environment: { code: "c", backend: "wasm", device: "cpu", threads: 1, dtype: "float32", tfjs: "t" },
      allowPartial: false,
    });
    expect(again).toMatchObject({ start: "continued", damaged: `artifacts/${MEANS}` });
    expect(readFileSync(runPaths(folder).artifact(MEANS))).toEqual(readFileSync(runPaths(run).artifact(MEANS)));
  });
});

describe("a sweep with scores of another run is refused", () => {
  const FROM = "sweep.yaml:5: scores[0].from: ";

  it("where the folder holds no run, or one that has not ended well", async () => {
    expect(await faultOf(withRun("nowhere"))).toMatch(
      /^sweep\.yaml:5: scores\[0\]\.from: .*expected the folder of a run/,
    );
    expect(await faultOf(withRun(await lend("partial", PAIRS, "partial")))).toMatch(/scores\[0\]\.from: .* partial/);
  });

  it("where the run has no such scores, or took them from another run itself", async () => {
    expect(await faultOf(withRun(run).replace("name: atp", "name: relp"))).toMatch(
      /scores\[0\]\.name: .* no scores called relp \(it has: atp, ig\)/,
    );
    const second = await lend("second", withRun(run));
    expect(await faultOf(withRun(second))).toContain(`${FROM}the run took atp from another run`);
  });

  it("where scores are from two runs", async () => {
    const text = withRun(run).replace(" }]", ` }, { name: ig, from: ${join(FOLDER, "other")} }]`);
    expect(await faultOf(text)).toContain("sweep.yaml:5: scores[1].from: scores of one sweep are taken from one run");
  });

  it.each([
    ["model", PAIRS.replace("path: model", "path: model-bf16"), /other model .*[0-9a-f]{64} there, [0-9a-f]{64} here/],
    ["SAEs", PAIRS.replace("path: saes", "path: saes, layers: [1]"), /other SAEs .*[0-9a-f]{64} there/],
    ["dtype", `${PAIRS}dtype: bfloat16\n`, /other dtype .*\(bfloat16 there, float32 here\)/],
    ["token counts", PAIRS.replace("pairs.jsonl", "pairs-mixed-lengths.jsonl"), /token counts .* there, 7 here\)/],
  ])("where its %s differ, with both values", async (what, text, expected) => {
    const planned = await planOf(text, "torch");
    const folder = begin(planned, join(FOLDER, what));
    writeArtifact(folder, SCORES, Buffer.from(""));
    writeArtifact(folder, MEANS, Buffer.from(""));
    writeRunFile(folder, { ...readRunFile(folder), status: "complete" });
    const message = await faultOf(withRun(folder));
    expect(message).toContain(FROM);
    expect(message).toMatch(expected);
  });

  it("where its errors were split otherwise", async () => {
    const text = `${withRun(run)}fit: { path: data/pairs.jsonl }\n`;
    expect(await faultOf(text)).toMatch(/other fit of errors .*\(none there, [0-9a-f]{64} here\)/);
  });

  it("where an artifact is damaged, or the means were never made", async () => {
    const damaged = await lend("damaged", PAIRS);
    truncateSync(runPaths(damaged).artifact(SCORES), 3);
    expect(await faultOf(withRun(damaged))).toMatch(/scores\[0\]\.from: .*scores-atp\.safetensors: expected sha256/);
    rmSync(runPaths(damaged).artifact(SCORES));
    expect(await faultOf(withRun(damaged))).toMatch(/scores\[0\]\.from: .*scores-atp\.safetensors: expected sha256/);
    const meanless = begin(await planOf(PAIRS.replace("means: true\n", "")), join(FOLDER, "meanless"));
    writeArtifact(meanless, SCORES, Buffer.from(""));
    writeRunFile(meanless, { ...readRunFile(meanless), status: "complete" });
    expect(await faultOf(withRun(meanless))).toContain(`${FROM}the run has no means.safetensors`);
  });

  it("where neurons are ranked or ablated, and the run has none", async () => {
    const bare = (text: string): string => text.replace("saes: { path: saes }\n", "");
    const folder = await lend("bare", bare(PAIRS));
    const text = withRun(folder, bare(PLAIN)).replace("circuits: {}", "circuits: { nodes: neurons }");
    expect(await faultOf(text)).toContain("sweep.yaml:4: scores[0].from: the run has no scores atp of neurons");
    const scored = await lend("scored", bare(PAIRS).replace("method: atp", "method: atp, neurons: true"));
    expect(await faultOf(text.replace(folder, scored))).toContain(
      "sweep.yaml:4: scores[0].from: the means.safetensors of the run has no neurons",
    );
  });

  it.each([
    ["truth", `${PLAIN.replace("plain.jsonl", "pairs.jsonl")}truth: {}\n`, "sweep.yaml:7: truth: "],
    ["means of its own", `${PLAIN}means: true\n`, "sweep.yaml:7: means: "],
    ["nothing to evaluate", PLAIN.replace("circuits: {}\n", ""), "asks for nothing"],
  ])("beside %s", async (_what, text, expected) => {
    expect(await faultOf(withRun(run, text))).toContain(expected);
  });

  it("beside rows that choose", async () => {
    const lines = readFileSync(join(TINY_A, "data/pairs.jsonl"), "utf8").split("\n");
    const [select, evaluate] = [join(FOLDER, "select.jsonl"), join(FOLDER, "evaluate.jsonl")];
    writeFileSync(select, lines.slice(0, 4).join("\n"));
    writeFileSync(evaluate, lines.slice(4, 8).join("\n"));
    const rows = `select: { path: ${select} }, evaluate: { path: ${evaluate} }`;
    expect(await faultOf(withRun(run).replace("path: data/plain.jsonl", rows))).toContain(
      "sweep.yaml:4: dataset.select: these rows would choose nothing",
    );
    const named = `x-rows: &rows { ${rows} }\n${withRun(run).replace(/dataset: .*/, "dataset: *rows")}`;
    expect(await faultOf(named)).toContain("dataset.select: these rows would choose nothing");
  });

  it("where prompts of several lengths are counted from their ends", async () => {
    const mixed = (text: string): string => text.replace(/(pairs|plain)\.jsonl/, "pairs-mixed-lengths.jsonl");
    const folder = await lend("mixed", mixed(PAIRS));
    const text = mixed(PLAIN).replace("circuits: {}", "experiments: [{ name: a, ablate: { at: -1, top: 3 } }]");
    expect(await faultOf(withRun(folder, text))).toMatch(/experiments\[0\]\.ablate\.at: .*several lengths/);
    await planOf(withRun(folder, text.replace("-1", "2")));
  });
});

describe("plain data without scores", () => {
  it.each([
    ["circuits: {}", "sweep.yaml:5: circuits: "],
    ["experiments: [{ name: a, ablate: { top: 3 } }]", "sweep.yaml:5: experiments[0]: "],
  ])("names what the sweep says, and not a default: %s", async (asked, place) => {
    const message = await faultOf(PLAIN.replace(/scores: .*\ncircuits: \{\}/, asked));
    expect(message).toContain(place);
    expect(message).toContain("from: runs/NAME");
    expect(message).not.toContain("scores[0]");
  });

  it("is told of the run to take scores from, where the sweep names a method that needs pairs", async () => {
    const message = await faultOf(PLAIN.replace("from: RUN", "method: relp"));
    expect(message).toContain("sweep.yaml:5: scores[0].method: ");
    expect(message).toContain("{ name: atp, from: runs/NAME }");
  });
});
