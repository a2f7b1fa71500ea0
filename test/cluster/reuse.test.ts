/**
 * @file What earlier runs have is not computed again: a finished sweep and one configuration more costs that configuration. Artifacts are
 * the bytes that a run gives which reuses nothing.
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { readRunFile, type ReusedShards } from "../../src/run/run-folder.js";
import { openDirectoryLog } from "../../src/runlog/directory-log.js";
import { artifactHashes, type Ended, patchbay, runFile } from "./command.js";

const TINY_A = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "patchbay-reuse-"));

/** A sweep with every kind of stage; 24 pairs of one length are blocks of 7, 7, 7 and 3. */
const SWEEP = `name: first
model: { path: ${TINY_A}/model }
saes: { path: ${TINY_A}/saes }
dataset: { path: ${TINY_A}/data/pairs.jsonl }
fit: { path: ${TINY_A}/data/pairs-mixed-lengths.jsonl, limit: 8 }
engine: { block_mib: 2, threads: 1 }
scores: [{ name: atp, method: atp }, { name: ig, method: ig, steps: 2 }]
truth: { positions: [-1], errors: {}, features: { top: 4, random: 4 }, nodes: [{ kind: error_linear, at: -1 }] }
circuits: { thresholds: [0.001, 0.01] }
sets:
  err: { kind: error, site: resid_post, at: -1 }
experiments:
  - { name: named, ablate: { nodes: [blocks.2.hook_resid_post.hook_sae_error], positions: [-1] } }
  - { name: grid, grid: { K: [1, 2] }, ablate: err, restore: { kind: feature, site: resid_post, top: $K } }
`;

/** The same with one configuration more, under another name. */
const MORE = `${SWEEP.replace("name: first", "name: second")}  - { name: more, ablate: { kind: error, site: mlp_out, layers: 1 } }\n`;

/** The same with other prompts. */
const limited = (sweep: string, limit: number): string =>
  sweep.replace("data/pairs.jsonl }", `data/pairs.jsonl, limit: ${String(limit)} }`);

const out = (parent: string, name: string): string => join(scratch, parent, name);

function run(folder: string, sweep: string, ...flags: string[]): Promise<Ended> {
  const file = join(scratch, "sweep.yaml");
  writeFileSync(file, sweep);
  return patchbay(["run", file, "--out", folder, "--backend", "wasm", ...flags]);
}

/** Shards that the run computed, as its log says: those that it took over have the name of a run where others have a worker's. */
async function computed(folder: string): Promise<string[]> {
  const log = await openDirectoryLog(join(folder, "log"));
  const records = await log.list();
  return records.filter(({ worker }) => !worker.startsWith("reused from")).map(({ shard }) => shard);
}

const reusedOf = (folder: string): readonly ReusedShards[] => readRunFile(folder).reused ?? [];

/** Stages whose artifacts were not made again. */
const notReduced = (folder: string): string[] =>
  (readRunFile(folder).reused_artifacts ?? []).map(({ stage }) => stage).sort();

/** A copy of the finished run in a folder of its own. */
function copyOfFirst(parent: string): string {
  cpSync(out("runs", "first"), out(parent, "first"), { recursive: true });
  return out(parent, "first");
}

/** Flips a byte in the middle of a file. */
function damage(file: string): void {
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
  writeFileSync(file, bytes);
}

/** The record of a shard. */
const recordOf = (folder: string, stage: string, number: string): string =>
  join(folder, "log", stage, `${number}.record`);

let fresh: Record<string, string> = {};
beforeAll(async () => {
  expect(await run(out("runs", "first"), SWEEP)).toMatchObject({ code: 0, stderr: "" });
  const ended = await run(out("runs", "fresh"), MORE, "--fresh");
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  expect(ended.stdout).not.toContain("reused");
  fresh = artifactHashes(out("runs", "fresh"));
});

describe("a finished sweep", () => {
  it("with one configuration more computes that configuration, and gives the bytes of a fresh run", async () => {
    copyOfFirst("plus");
    const folder = out("plus", "second");
    const ended = await run(folder, MORE);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const blocks = readdirSync(join(folder, "log", "means")).length;
    const own = await computed(folder);
    expect(blocks).toBeGreaterThan(1);
    expect(own.length).toBe(blocks);
    expect(own.every((shard) => shard.startsWith("circuits."))).toBe(true);
    expect(artifactHashes(folder)).toEqual(fresh);
    const shards = must(runFile(folder).counts["shards"], "shards");
    expect(ended.stdout).toContain(`reused ${String(shards - blocks)} of ${String(shards)} shards from `);
    expect(reusedOf(folder).reduce((sum, one) => sum + one.shards, 0)).toBe(shards - blocks);
    expect(new Set(reusedOf(folder).map(({ from }) => from))).toEqual(new Set(["first"]));
    expect(notReduced(folder)).toEqual(["fit", "means", "nodes", "scores-atp", "scores-ig", "validation"]);
    expect(runFile(folder).warnings).toEqual(runFile(out("runs", "fresh")).warnings);
    // What another run computed took this one no time.
    expect(runFile(folder).timings["means"]).toMatchObject({ seconds: 0, units: 0, unit: "prompt rows" });
    expect(runFile(folder).timings["circuits"]).not.toMatchObject({ seconds: 0 });
  });

  it("with a damaged record has that one computed again, and says so", async () => {
    damage(recordOf(copyOfFirst("damaged"), "scores-atp", "00001"));
    const folder = out("damaged", "second");
    expect(await run(folder, MORE)).toMatchObject({ code: 0, stderr: "" });
    const own = await computed(folder);
    expect(own.filter((shard) => !shard.startsWith("circuits."))).toEqual(["scores-atp.00001"]);
    expect(artifactHashes(folder)).toEqual(fresh);
    expect(runFile(folder).warnings.join()).toContain(
      "1 record of first not reused: damaged, the first that of scores-atp.00001",
    );
  });

  it("with a damaged artifact has that one made again, and says so", async () => {
    damage(join(copyOfFirst("artifact"), "artifacts", "truth.parquet"));
    const folder = out("artifact", "second");
    expect(await run(folder, MORE)).toMatchObject({ code: 0, stderr: "" });
    expect(notReduced(folder)).toEqual(["fit", "means", "nodes", "scores-atp", "scores-ig"]);
    expect(artifactHashes(folder)).toEqual(fresh);
    expect(runFile(folder).warnings.join()).toContain(
      "artifacts of stage validation in first are damaged: made again from the records",
    );
  });

  it("with fewer prompts, and with more again, computes the blocks that have others", async () => {
    const fewer = out("fewer", "fewer");
    expect(await run(fewer, limited(SWEEP, 23), "--reuse", out("runs", "first"))).toMatchObject({ code: 0 });
    const before = await computed(fewer);
    // By its tokens the 24th pair stands in the second of four blocks.
    expect(before.filter((shard) => shard.startsWith("means.")).length).toBe(3);
    expect(before.filter((shard) => shard.startsWith("fit."))).toEqual([]);
    const whole = out("fewer", "whole");
    expect(await run(whole, SWEEP)).toMatchObject({ code: 0, stderr: "" });
    expect((await computed(whole)).filter((shard) => shard.startsWith("means.")).length).toBe(3);
    expect(artifactHashes(whole)).toEqual(artifactHashes(out("runs", "first")));
  });

  it("of another build has nothing, and the command says so where it was named", async () => {
    const file = runFile(copyOfFirst("build"));
    writeFileSync(join(out("build", "first"), "run.json"), JSON.stringify({ ...file, fingerprints: { ...file.fingerprints, code: "other" } })); // prettier-ignore
    const ended = await run(out("built", "run"), SWEEP, "--reuse", out("build", "first"));
    expect(ended.stdout).toMatch(/nothing reused from .*build.first: it was computed on other code/);
    expect(artifactHashes(out("built", "run"))).toEqual(artifactHashes(out("runs", "first")));
  });

  it("in another folder computes nothing", async () => {
    const folder = out("again", "run");
    const ended = await run(folder, SWEEP, "--reuse", out("runs", "first"));
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const { shards } = runFile(folder).counts;
    expect(ended.stdout).toContain(`reused ${String(shards)} of ${String(shards)} shards from `);
    expect(await computed(folder)).toEqual([]);
    expect(artifactHashes(folder)).toEqual(artifactHashes(out("runs", "first")));
  });
});

describe("refuses", () => {
  it.each([
    ["a folder that holds no run", ["--reuse", TINY_A], "this folder holds none"],
    ["a file", ["--reuse", join(TINY_A, "data/pairs.jsonl")], "this is a file"],
    ["a folder that is not there", ["--reuse", join(TINY_A, "nowhere")], "there is no such folder"],
    ["to reuse and to ignore at once", ["--reuse", TINY_A, "--fresh"], "--fresh: means that nothing is reused"],
  ])("%s, before anything is made", async (_, flags, message) => {
    const ended = await run(out("refused", "run"), SWEEP, ...flags);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain(message);
    expect(existsSync(out("refused", "run"))).toBe(false);
  });
});
