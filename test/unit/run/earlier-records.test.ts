import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { prepareRun } from "../../../src/artifacts/prepare-run.js";
import { must } from "../../../src/base/assert.js";
import { type Environment, environmentFingerprint } from "../../../src/base/environment.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { planSweep, type PlannedRun } from "../../../src/plan/make-plan.js";
import { countReusable, type EarlierRunsAt, reuseRecords, whyNothing } from "../../../src/run/earlier-records.js";
import { readArtifact, writeArtifact } from "../../../src/run/artifacts.js";
import { warningsOfTaken } from "../../../src/run/earlier-artifacts.js";
import { readRunFile, type ReusedShards, runPaths, writeRunFile } from "../../../src/run/run-folder.js";
import { openDirectoryLog } from "../../../src/runlog/directory-log.js";
import type { RecordEnvelope } from "../../../src/runlog/run-log.js";
import { bytesOf, envelopeOf } from "../runlog/records.js";

const TINY_A = resolve("test/fixtures/tiny-a");
const { experiments } = REGISTER;
const BESIDE: EarlierRunsAt = { kind: "beside" };
const environment: Environment = { code: "c", backend: "wasm", device: "d", threads: 1, dtype: "float32", tfjs: "4" };

const SWEEP = `name: run
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs-mixed-lengths.jsonl }
engine: { block_mib: 6 }
scores: [{ name: atp, method: atp }]
means: true
`;

let folder: string;
let planned: PlannedRun;

const at = (name: string): string => join(folder, name);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-earlier-"));
  const source = { text: SWEEP, file: "sweep.yaml", baseFolder: TINY_A };
  planned = await planSweep(experiments, source, { backend: "wasm", autoThreads: 1 });
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

const shardIds = (): string[] => planned.plan.stages.flatMap(({ shards }) => [...shards].map(({ id }) => id));

const prepare = (name: string): string =>
  prepareRun(experiments, planned, { out: at(name), environment, allowPartial: false }).folder;

/** A run whose log has these shards. */
async function earlier(name: string, shards: readonly string[], other: Partial<RecordEnvelope> = {}): Promise<string> {
  const made = prepare(name);
  const log = await openDirectoryLog(runPaths(made).log);
  for (const shard of shards) {
    const payload = bytesOf(300, shard);
    const own = { planHash: planned.planHash, environment: environmentFingerprint(environment) };
    await log.append({ ...envelopeOf(shard, payload), ...own, ...other }, payload);
  }
  return made;
}

const reuse = (name: string, from: EarlierRunsAt = BESIDE): Promise<readonly ReusedShards[]> =>
  reuseRecords(experiments, { folder: at(name), plan: planned.plan, environment }, from);

const countOf = (reused: readonly ReusedShards[]): number => reused.reduce((sum, { shards }) => sum + shards, 0);

/** Files of a run folder's log that hold a record. */
const recordFile = (run: string, shard: string): string => join(runPaths(run).log, `${shard.replace(".", "/")}.record`);

function flip(file: string): void {
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  writeFileSync(file, bytes);
}

describe("artifacts of an earlier run", () => {
  const contents = (planHash: string): Buffer => Buffer.from(`before ${planHash} and ${planHash} after`);
  const NAMES = ["means.safetensors", "scores-atp.safetensors", "components.parquet"];

  /** A run that is complete. */
  async function complete(name: string): Promise<string> {
    const made = await earlier(name, shardIds());
    for (const artifact of NAMES) writeArtifact(made, artifact, contents(planned.planHash));
    writeRunFile(made, { ...readRunFile(made), status: "complete", stage_warnings: { means: ["a warning"] } });
    return made;
  }

  /** The run again, in a sweep of another name. */
  async function renamed(): Promise<void> {
    const source = { text: SWEEP.replace("name: run", "name: other"), file: "s.yaml", baseFolder: TINY_A };
    planned = await planSweep(experiments, source, { backend: "wasm", autoThreads: 1 });
  }

  it("are taken over under the hash of the new plan, with what their reductions said", async () => {
    await complete("first");
    await renamed();
    const mine = prepare("mine");
    await reuse("mine");
    for (const name of NAMES) expect(Buffer.from(await readArtifact(mine, name))).toEqual(contents(planned.planHash));
    const file = readRunFile(mine);
    expect(file.reused_artifacts?.map(({ stage, sums }) => [stage, ...Object.keys(sums).sort()])).toEqual([
      ["means", "means.safetensors"],
      ["scores-atp", "components.parquet", "scores-atp.safetensors"],
    ]);
    expect(await warningsOfTaken(mine, file, "means")).toEqual(["a warning"]);
    flip(runPaths(mine).artifact("means.safetensors"));
    expect(await warningsOfTaken(mine, file, "means")).toBeUndefined();
    expect(await warningsOfTaken(mine, file, "scores-atp")).toEqual([]);
    // As one does that was made of the shards that were left, when others had been given up.
    writeArtifact(mine, "components.parquet", Buffer.from("other contents"));
    expect(await warningsOfTaken(mine, file, "scores-atp")).toBeUndefined();
  });

  it.each([
    ["is damaged", flip],
    ["is gone", rmSync],
    [
      "is gone without a trace",
      (file: string) => {
        rmSync(file);
        const { sums } = runPaths(at("first"));
        writeFileSync(sums, readFileSync(sums, "utf8").replace(/.*components.*\n/, ""));
      },
    ],
    [
      "cannot be read",
      (file: string) => {
        rmSync(file);
        mkdirSync(file);
      },
    ],
  ])("of a stage are all left where one %s", async (_, harm) => {
    const first = await complete("first");
    harm(runPaths(first).artifact("components.parquet"));
    const mine = prepare("mine");
    await reuse("mine");
    expect((readRunFile(mine).reused_artifacts ?? []).map(({ stage }) => stage)).toEqual(["means"]);
    expect(existsSync(runPaths(mine).artifact("scores-atp.safetensors"))).toBe(false);
    expect(readRunFile(mine).warnings).toEqual([
      "artifacts of stage scores-atp in first are damaged: made again from the records",
    ]);
  });

  it("are left where the run is not complete", async () => {
    const first = await complete("first");
    writeRunFile(first, { ...readRunFile(first), status: "partial" });
    const mine = prepare("mine");
    await reuse("mine");
    expect(readRunFile(mine).reused_artifacts).toBeUndefined();
  });
});

describe("records of earlier runs", () => {
  it("are taken over as they are, and say whose they were", async () => {
    await earlier("first", shardIds());
    const mine = prepare("second");
    expect(countReusable(experiments, { folder: mine, plan: planned.plan, environment }, BESIDE)).toBe(
      shardIds().length,
    );
    expect(countOf(await reuse("second"))).toBe(shardIds().length);
    const log = await openDirectoryLog(runPaths(mine).log);
    for (const shard of shardIds()) {
      const { envelope, payload } = must((await log.read(shard)) ?? undefined, shard);
      expect(payload).toEqual(Buffer.from(bytesOf(300, shard)));
      expect(envelope).toMatchObject({
        planHash: planned.planHash,
        ...{ seconds: 0.25, units: { "node-prompts": 12 }, count: 8 },
        worker: `reused from first, plan ${planned.planHash}`,
      });
    }
    expect(readRunFile(mine)).toMatchObject({
      warnings: [],
      reused: planned.plan.stages.map(({ id, shards: { length } }) => ({
        stage: id,
        shards: length,
        of: length,
        from: "first",
        plan_hash: planned.planHash,
      })),
    });
  });

  it("come from several runs, unfinished ones too, and what a run has already is left", async () => {
    const [a, b, c, ...rest] = shardIds();
    await earlier("first", [must(a, "a"), must(b, "b")]);
    await earlier("second", [must(b, "b"), must(c, "c")]);
    await earlier("mine", rest);
    const reused = await reuse("mine");
    expect(countOf(reused)).toBe(3);
    expect(new Set(reused.map(({ from }) => from))).toEqual(new Set(["first", "second"]));
    // A second look counts what was taken over before it.
    expect(await reuse("mine")).toEqual(reused);
  });

  it("are left out where they are damaged, and taken from another run that has them", async () => {
    const [shard = ""] = shardIds();
    const first = await earlier("first", shardIds());
    flip(recordFile(first, shard));
    const mine = prepare("mine");
    expect(countOf(await reuse("mine"))).toBe(shardIds().length - 1);
    expect(existsSync(recordFile(mine, shard))).toBe(false);
    expect(readRunFile(mine).warnings).toEqual([`1 record of first not reused: damaged, the first that of ${shard}`]);
    await earlier("other", [shard]);
    expect(countOf(await reuse("mine"))).toBe(shardIds().length);
  });

  it("are not those of another plan or environment that lie in a run's log", async () => {
    await earlier("plan", shardIds(), { planHash: "ab".repeat(32) });
    await earlier("environment", shardIds(), { environment: "wasm/1" });
    const mine = prepare("mine");
    expect(await reuse("mine")).toEqual([]);
    expect(readRunFile(mine).warnings).toHaveLength(2);
    expect(readRunFile(mine).reused).toBeUndefined();
  });

  it.each([
    ["another build", { code: "other" }],
    ["another model", { model: "f".repeat(64) }],
    ["other SAEs", { saes: null }],
  ])("are not looked at in a run of %s", async (_, fingerprints) => {
    const first = await earlier("first", shardIds());
    const file = readRunFile(first);
    writeRunFile(first, { ...file, fingerprints: { ...file.fingerprints, ...fingerprints } });
    rmSync(runPaths(first).plan);
    prepare("mine");
    expect(await reuse("mine")).toEqual([]);
  });

  it("are passed over without a word where a run cannot be read", async () => {
    const first = await earlier("first", shardIds());
    cpSync(first, at("no-plan"), { recursive: true });
    writeFileSync(runPaths(at("no-plan")).plan, "{}");
    writeFileSync(runPaths(first).run, "{}");
    const mine = prepare("mine");
    expect(await reuse("mine")).toEqual([]);
    expect(readRunFile(mine).warnings).toEqual([]);
  });

  it.each([
    ["there is no other run that can be read", "mine", {}],
    ["it was computed on other saes, code", "first", { code: "other", saes: null }],
    ["no shard that is left to do is one of theirs", "first", {}],
  ])("that were named and have nothing: %s", async (why, named, fingerprints) => {
    const first = await earlier("first", []);
    const file = readRunFile(first);
    writeRunFile(first, { ...file, fingerprints: { ...file.fingerprints, ...fingerprints } });
    prepare("mine");
    const run = { folder: at("mine"), plan: planned.plan, environment };
    expect(whyNothing(run, { kind: "in", folder: at(named) })).toBe(why);
  });

  it("are looked for where they are said to be, and nowhere else", async () => {
    await earlier("first", shardIds());
    prepare("mine");
    expect(await reuse("mine", { kind: "nowhere" })).toEqual([]);
    prepare("elsewhere/mine");
    expect(await reuse("elsewhere/mine")).toEqual([]);
    const reused = await reuse("elsewhere/mine", { kind: "in", folder: at("first") });
    expect(new Set(reused.map(({ from }) => from))).toEqual(new Set(["../first"]));
    prepare("elsewhere/other");
    expect(countOf(await reuse("elsewhere/other", { kind: "in", folder }))).toBe(shardIds().length);
  });
});
