/** @file Runs on weights from a hub: the same run as from folders, its commit on record, one download for each machine. */
import { fork, type ChildProcess } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readRunFile } from "../../src/run/run-folder.js";
import { connectCluster } from "../../src/wire/cluster-client.js";
import { FakeHub, refuse } from "../unit/hub/fake-hub.js";
import { artifactHashes, start } from "./command.js";

const COMMAND = fileURLToPath(new URL("../../bin/patchbay.js", import.meta.url));
const WORLD = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));
/** One repository holds the model and the SAEs of one site. */
const REPO = "acme/tiny-a-res";

const SWEEP = `
name: from-hub
model: { hub: ${REPO} }
saes: { hub: ${REPO}, width: 128, layers: [0, 2] }
dataset: { path: ${join(WORLD, "data/pairs.jsonl")}, limit: 4 }
scores: [{ name: atp, method: atp }]
truth: { errors: {}, positions: -1 }
`;
let hub: FakeHub;
let folder: string;
let children: ChildProcess[];

beforeEach(async () => {
  hub = await FakeHub.start(REPO);
  folder = mkdtempSync(join(tmpdir(), "patchbay-hub-run-"));
  children = [];
  addFolder(join(WORLD, "model"));
  addFolder(join(WORLD, "saes/resid"));
});

afterEach(async () => {
  for (const child of children) if (child.connected) child.disconnect();
  await Promise.all(children.map(ended));
  await hub.close();
  rmSync(folder, { recursive: true, force: true });
});

function addFolder(from: string): void {
  for (const name of readdirSync(from, { recursive: true }).map(String)) {
    const path = join(from, name);
    if (statSync(path).isFile()) hub.add(name, readFileSync(path), /\.(safetensors|npz)$/.test(name));
  }
}

/** The environment of a machine of its own: it has a cache of its own. */
const machine = (name: string): NodeJS.ProcessEnv => ({
  ...process.env,
  HF_HOME: join(folder, name),
  HF_ENDPOINT: hub.endpoint,
  HF_HUB_CACHE: undefined,
});

function ended(child: ChildProcess): Promise<unknown> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", resolve));
}

/** Downloads of weights, by path. */
function weightDownloads(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { origin, path } of hub.seen) if (origin === "store") counts[path] = (counts[path] ?? 0) + 1;
  return counts;
}

const run = async (sweep: string, out: string): Promise<{ code: number | null; stderr: string }> => {
  writeFileSync(join(folder, `${out}.yaml`), sweep);
  return start(
    ["run", join(folder, `${out}.yaml`), "--out", join(folder, out), "--workers", "2", "--fresh"],
    machine("here"),
  ).ended;
};

test("a run by name is the run of the same files in folders, and its commit is on record", async () => {
  const { code, stderr } = await run(SWEEP, "by-name");
  expect(code, stderr).toBe(0);
  const { inputs, plan_hash: planHash } = readRunFile(join(folder, "by-name"));
  expect(inputs.hub?.model).toMatchObject({ repo: REPO, revision: "main", commit: hub.commit });
  expect(inputs.hub?.saes?.[0]?.files.map(({ path }) => path.split("/")[0])).toEqual(["layer_0", "layer_2"]);
  expect(Object.values(weightDownloads())).toEqual([1, 1, 1]);
  expect(readFileSync(join(folder, "by-name/report.html"), "utf8")).toContain(`${REPO} at main, commit ${hub.commit}`);

  const pinned = SWEEP.replaceAll(`hub: ${REPO}`, `hub: ${REPO}, revision: ${hub.commit}`);
  mkdirSync(join(folder, "saes"));
  symlinkSync(join(WORLD, "saes/resid"), join(folder, "saes/resid"));
  const inFolders = SWEEP.replace(`hub: ${REPO}`, `path: ${join(WORLD, "model")}`).replace(
    `hub: ${REPO}`,
    "path: saes",
  );
  await hub.close();
  for (const [name, sweep] of [
    ["pinned", pinned],
    ["in-folders", inFolders],
  ] as const) {
    expect(await run(sweep, name)).toMatchObject({ code: 0 });
    expect(readRunFile(join(folder, name)).plan_hash).toBe(planHash);
    expect(artifactHashes(join(folder, name))).toEqual(artifactHashes(join(folder, "by-name")));
  }
});

test("workers on another machine fetch what they lack, once for both", async () => {
  const coordinator = fork(COMMAND, ["coordinator", "--listen", "127.0.0.1:0", "--runs", join(folder, "runs")], {
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    env: machine("coordinator"),
  });
  children.push(coordinator);
  const port = await new Promise<number>((resolve) => {
    coordinator.once("message", (message: { port: number }) => {
      resolve(message.port);
    });
  });
  const address = `127.0.0.1:${String(port)}`;
  for (const name of ["a", "b"])
    children.push(
      fork(COMMAND, ["worker", "--coordinator", address, "--name", name], {
        stdio: ["ignore", "ignore", "ignore", "ipc"],
        env: machine("workers"),
      }),
    );
  const client = connectCluster(address);
  while ((await client.status("")).workers.length < 2);
  const { run: id, folder: made } = await client.submit({
    sweep: SWEEP,
    baseFolder: folder,
    allowPartial: false,
    file: "",
    files: [],
    fresh: true,
  });
  let state = "";
  for await (const status of client.watch(id)) state = status.state;
  client.close();
  expect(state).toBe("complete");
  expect(readRunFile(made).inputs.hub?.model?.commit).toBe(hub.commit);
  expect(Object.values(weightDownloads())).toEqual([2, 2, 2]); // The coordinator's machine, and the workers'.
  expect(readdirSync(join(folder, "workers/hub"))).toContain("models--acme--tiny-a-res");
});

test("what the hub refuses is refused before anything starts, at its place in the sweep", async () => {
  hub.fault = (_seen, response) => refuse(response, 401, "GatedRepo", "restricted");
  const { code, stderr } = await run(SWEEP, "refused");
  expect(code).toBe(2);
  expect(stderr).toContain(`refused.yaml:3: model.hub: ${REPO} is gated: accept its licence at`);
  expect(readdirSync(folder)).not.toContain("refused");
});
