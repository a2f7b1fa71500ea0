/**
 * @file One sweep, however it is run: any number of workers, killed processes, another run log. The artifacts are the same bytes,
 * on every backend: a vitest project for each sets PATCHBAY_TEST_BACKEND.
 *
 * Each kill is real (SIGKILL to a process of the run, while it works) and proved: the process is gone, records were missing when
 * it died, and the run says that it started a process again or gave a shard out again.
 */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import {
  artifactHashes,
  isAlive,
  listedProcesses,
  patchbay,
  recordCount,
  runFile,
  start,
  until,
} from "../cluster/command.js";
import { startNatsServer } from "../cluster/nats-server.js";
import { TEST_BACKEND } from "../numeric/test-backend.js";

const TINY_A = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "patchbay-run-"));
const sweep = join(scratch, "sweep.yaml");

writeFileSync(
  sweep,
  `name: repeat
model: { path: ${TINY_A}/model }
saes: { path: ${TINY_A}/saes }
dataset: { path: ${TINY_A}/data/pairs-mixed-lengths.jsonl }
engine: { block_mib: 6, threads: 1 }
scores: [{ name: atp, method: atp }, { name: ig, method: ig }]
means: true
truth: { positions: [all, global], errors: {}, features: { top: 12, random: 12 } }
circuits: { thresholds: { log10: [-4, -1], count: 6 } }
`,
);

const out = (name: string): string => join(scratch, name);
/** The command that every test runs, with further options. */
const runOf = (name: string, ...options: string[]): string[] => [
  "run",
  sweep,
  "--out",
  out(name),
  "--backend",
  TEST_BACKEND,
  ...options,
];
let expected: Record<string, string> = {};

function expectComplete(name: string): void {
  expect(runFile(out(name)).status).toBe("complete");
  expect(artifactHashes(out(name))).toEqual(expected);
}

/** Kills the process of a role once the run has begun to record and is not near its end. */
async function killMidRun(
  name: string,
  role: "coordinator" | "worker" | "engine",
): Promise<{ pid: number; records: number }> {
  const { counts } = await until("run.json", () => (recordCount(out(name)) > 0 ? runFile(out(name)) : undefined));
  const victim = await until(`a ${role}`, () => listedProcesses(out(name)).find((one) => one.role === role));
  const records = recordCount(out(name));
  expect(records).toBeLessThan(must(counts["shards"], "shards"));
  process.kill(victim.pid, "SIGKILL");
  await until("the victim's end", () => (isAlive(victim.pid) ? undefined : true));
  return { pid: victim.pid, records };
}

beforeAll(async () => {
  const ended = await patchbay(runOf("one", "--workers", "1"));
  expect(ended.stderr).toBe("");
  expect(ended.code).toBe(0);
  expected = artifactHashes(out("one"));
  expect(Object.keys(expected)).toEqual(
    expect.arrayContaining([
      "circuits.parquet",
      "nodes.parquet",
      "scores-atp.safetensors",
      "truth.parquet",
      "validation.json",
    ]),
  );
});

describe("the artifacts of a sweep are the same bytes", () => {
  it.each([2, 3])("with %i workers", async (workers) => {
    const name = `workers-${String(workers)}`;
    const ended = await patchbay(runOf(name, "--workers", String(workers)));
    expect(ended.code).toBe(0);
    expectComplete(name);
  });

  it("when a worker is killed in the middle", async () => {
    const run = start(runOf("worker-killed", "--workers", "2"));
    await killMidRun("worker-killed", "worker");
    const ended = await run.ended;
    expect(ended.stdout).toContain("died (SIGKILL)");
    expect(ended.code).toBe(0);
    expectComplete("worker-killed");
  });

  it("when an engine is killed in the middle", async () => {
    const run = start(runOf("engine-killed", "--workers", "2"));
    await killMidRun("engine-killed", "engine");
    expect((await run.ended).code).toBe(0);
    expect(runFile(out("engine-killed")).counts["retries"]).toBeGreaterThan(0);
    expectComplete("engine-killed");
  });

  it("when the coordinator is killed in the middle", async () => {
    const run = start(runOf("coordinator-killed", "--workers", "2"));
    await killMidRun("coordinator-killed", "coordinator");
    const ended = await run.ended;
    expect(ended.stdout).toContain("coordinator died (SIGKILL)");
    expect(ended.code).toBe(0);
    expectComplete("coordinator-killed");
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
    expectComplete("run-killed");
  });

  it("with the JetStream run log", async () => {
    const server = await startNatsServer();
    try {
      const ended = await patchbay(runOf("jetstream", "--workers", "2", "--log", server.url));
      expect(ended.stderr).toBe("");
      expect(ended.code).toBe(0);
      expectComplete("jetstream");
      expect(recordCount(out("jetstream"))).toBe(runFile(out("jetstream")).counts["shards"]);
    } finally {
      await server.stop();
    }
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
