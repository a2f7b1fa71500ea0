/** @file A disk that damages artifacts in the middle of a run: the run's results are those of a sound disk. */
import { fork, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { readArtifactSums } from "../../src/run/artifact-sums.js";
import { readRunFile, runPaths } from "../../src/run/run-folder.js";
import { connectCluster, type ClusterClient } from "../../src/wire/cluster-client.js";
import type { RunStatus } from "../../src/wire/messages.js";
import { artifactHashes, patchbay, until } from "./command.js";

const COMMAND = fileURLToPath(new URL("../../bin/patchbay.js", import.meta.url));
const COORDINATOR = fileURLToPath(new URL("./damaging-coordinator.js", import.meta.url));
const WORLD = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));

const SWEEP = `name: damaged
model: { path: ${WORLD}/model }
saes: { path: ${WORLD}/saes }
dataset: { path: ${WORLD}/data/pairs-with-faults.jsonl, limit: 8 }
engine: { block_mib: 2, threads: 1 }
scores: [{ name: atp, method: atp }]
means: true
truth: { positions: [all], errors: {}, features: { top: 4, random: 4 } }
circuits: { thresholds: { log10: [-4, -1], count: 12 } }
`;

type Said =
  | { readonly kind: "listening"; readonly port: number }
  | { readonly kind: "said"; readonly text: string }
  | { readonly kind: "damaged"; readonly path: string; readonly before: string; readonly after: string };

let folder: string;
let sweep: string;
/** What a sound disk gives. */
let whole: Record<string, string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-damaged-"));
  sweep = join(folder, "sweep.yaml");
  writeFileSync(sweep, SWEEP);
  const { code, stderr } = await patchbay(["run", sweep, "--out", join(folder, "whole")]);
  expect(code, stderr).toBe(0);
  whole = artifactHashes(join(folder, "whole"));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** By stage the artifacts that are damaged once it is reduced; by shard the hashes of files whose copies are once it is recorded. */
interface Flips {
  readonly flips?: Readonly<Record<string, readonly string[]>>;
  readonly flipsOfCopies?: Readonly<Record<string, readonly string[]>>;
}

/** Runs the sweep on a machine whose disk damages files; then does `use` with the cluster. */
async function onBadDisk(
  name: string,
  { flips = {}, flipsOfCopies = {} }: Flips,
  use: (run: RunStatus, said: Said[], client: ClusterClient) => Promise<void> | void,
): Promise<void> {
  const runs = join(folder, name);
  mkdirSync(runs);
  const children: ChildProcess[] = [];
  const said: Said[] = [];
  const start = (script: string, ...args: string[]): ChildProcess => {
    const child = fork(script, args, { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    children.push(child);
    child.stderr?.on("data", (bytes: Buffer) => said.push({ kind: "said", text: bytes.toString() }));
    return child;
  };
  const port = await new Promise<number>((resolve) => {
    start(COORDINATOR, JSON.stringify({ runs, flips, flipsOfCopies })).on("message", (message: Said) => {
      said.push(message);
      if (message.kind === "listening") resolve(message.port);
    });
  });
  const address = `127.0.0.1:${String(port)}`;
  start(COMMAND, "worker", "--coordinator", address, "--name", "w0", "--backend", "wasm");
  const client = connectCluster(address);
  try {
    while ((await client.status("")).workers.length === 0);
    await use(await submitted(client), said, client);
  } finally {
    client.close();
    const ends = children.map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of children) child.disconnect();
    await Promise.all(ends);
  }
}

/** Submits the sweep and follows its run to the end of everything that is written about it. */
async function submitted(client: ClusterClient): Promise<RunStatus> {
  const { run, folder: out } = await client.submit({
    sweep: SWEEP,
    baseFolder: folder,
    allowPartial: false,
    file: "s.yaml",
    files: [],
    fresh: true,
  });
  let last: RunStatus | undefined;
  for await (const status of client.watch(run)) last = status;
  await until("the last step", () => readRunFile(out).ended ?? undefined);
  return must(last, "status");
}

/** The damage that was done, each file once: the disk really held other bytes than were written. */
function damageIn(said: readonly Said[]): string[] {
  return said.flatMap((one) => {
    if (one.kind !== "damaged") return [];
    const name = must(one.path.split("/").at(-1), "name");
    expect(one.before).toBe(whole[name]);
    expect(one.after).not.toBe(one.before);
    return [name];
  });
}

function expectWhole(runFolder: string): void {
  expect(readRunFile(runFolder)).toMatchObject({ status: "complete" });
  expect(artifactHashes(runFolder)).toEqual(whole);
  expect(Object.fromEntries(readArtifactSums(runFolder))).toEqual(whole);
}

test("a bit flipped in an artifact that workers and later stages read changes no result", async () => {
  const flips = {
    means: ["means.safetensors"],
    "scores-atp": ["scores-atp.safetensors", "components.parquet"],
    nodes: ["nodes.parquet"],
  };
  await onBadDisk("between", { flips }, ({ state, reason, folder: out }, said) => {
    expect(damageIn(said).sort()).toEqual(Object.values(flips).flat().sort());
    expect(state, reason).toBe("complete");
    expectWhole(out);
    for (const name of ["means.safetensors", "scores-atp.safetensors", "nodes.parquet"])
      expect(said).toContainEqual({
        kind: "said",
        text: `${runPaths(out).artifact(name)} was damaged on the disk; it was made again from the run log`,
      });
  });
});

test("a bit flipped in a run's last artifacts is found before the run is complete", async () => {
  const flips = { circuits: ["circuits.parquet"], validation: ["validation.json", "truth.parquet"] };
  await onBadDisk("last", { flips }, ({ state, folder: out }, said) => {
    expect(damageIn(said).sort()).toEqual(["circuits.parquet", "truth.parquet", "validation.json"]);
    expect(state).toBe("complete");
    expectWhole(out);
  });
});

test("a bit flipped in a worker's copy costs no shard and changes no result", async () => {
  const hash = must(whole["means.safetensors"], "hash");
  await onBadDisk("copy", { flipsOfCopies: { "circuits.00000": [hash] } }, ({ state, folder: out }, said) => {
    const damage = said.flatMap((one) => (one.kind === "damaged" ? [one] : []));
    expect(damage).toMatchObject([{ before: hash }]);
    expect(damage[0]?.after).not.toBe(hash);
    expect(state).toBe("complete");
    expectWhole(out);
    const words = said.flatMap((one) => (one.kind === "said" ? [one.text] : [])).join("");
    expect(words).toMatch(
      new RegExp(`w0: .*${hash}: expected sha256 ${hash}, got sha256 .*the worker fetches it again`),
    );
    expect(readRunFile(out).counts.retries).toBe(0);
  });
});

test("an artifact that cannot be made again fails the run by name, and the same sweep makes it complete", async () => {
  await onBadDisk("dropped", { flips: { circuits: ["dropped.jsonl"] } }, async (run, said, client) => {
    expect(damageIn(said)).toEqual(["dropped.jsonl"]);
    const file = runPaths(run.folder).artifact("dropped.jsonl");
    expect(readRunFile(run.folder)).toMatchObject({
      status: "failed",
      reason: expect.stringMatching(
        new RegExp(
          `${file}: expected sha256 [0-9a-f]{64}, got sha256 [0-9a-f]{64}: .*delete the file and run the same`,
        ),
      ) as string,
    });
    rmSync(file);
    expect(await submitted(client)).toMatchObject({ state: "complete" });
    expectWhole(run.folder);
  });
});

test("of a complete run that was damaged since, the coordinator still gives the bytes that were written", async () => {
  await onBadDisk("since", {}, async ({ run, folder: out }, _said, client) => {
    const file = runPaths(out).artifact("circuits.parquet");
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.map((byte, i) => (i === 100 ? byte ^ 1 : byte))); // prettier-ignore
    expect(artifactHashes(out)).not.toEqual(whole);
    const parts: Uint8Array[] = [];
    for await (const part of client.fetchArtifact(run, "circuits.parquet"))
      if (part.kind === "chunk") parts.push(part.chunk);
    expect(Buffer.concat(parts).equals(bytes)).toBe(true);
    rmSync(file);
    expect(await submitted(client)).toMatchObject({ state: "complete" });
    expectWhole(out);
  });
});

test("a report is not made of a damaged artifact, and the same command makes the run complete again", async () => {
  const out = join(folder, "whole");
  const file = runPaths(out).artifact("circuits.parquet");
  writeFileSync(file, readFileSync(file).map((byte, i) => (i === 100 ? byte ^ 1 : byte))); // prettier-ignore
  expect(artifactHashes(out)).not.toEqual(whole);
  const { code, stderr } = await patchbay(["report", out]);
  expect(code).toBe(1);
  expect(stderr).toContain(`${file}: expected sha256 ${must(whole["circuits.parquet"], "hash")}, got sha256 `);
  expect(await patchbay(["run", sweep, "--out", out, "--fresh"])).toMatchObject({ code: 0 });
  expectWhole(out);
  expect(await patchbay(["report", out])).toMatchObject({ code: 0 });
});
