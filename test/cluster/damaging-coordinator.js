/**
 * @file A coordinator for cluster tests that serves submitted sweeps as the product's does, on a disk that goes bad: once a stage is
 * reduced (or a shard recorded), and before anyone hears of it, a bit of each file named for it is flipped, in the run folder (or in the
 * workers' copies of it). Arguments: one JSON object.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256 } from "../../dist/base/hash.js";
import { prepareSubmission } from "../../dist/coordinator/prepare-submission.js";
import { runCoordinator } from "../../dist/coordinator/run-coordinator.js";
import { onParentGone } from "../../dist/wire/parent-process.js";

const { runs, flips, flipsOfCopies } = JSON.parse(process.argv[2]);
const stop = new AbortController();
const seen = new Set();
let folder = "";
onParentGone(() => stop.abort());

await runCoordinator({
  host: "127.0.0.1",
  port: 0,
  prepare: async (request, workers) => {
    const prepared = await prepareSubmission(request, { runsFolder: runs, log: "dir", threads: 1 }, workers);
    folder = prepared.folder;
    return prepared;
  },
  observe: (happening) => {
    if (happening.kind === "stageReduced") {
      for (const name of once(flips, happening.stage)) damage(join(folder, "artifacts", name));
    }
    if (happening.kind === "recordVerified") {
      for (const hash of once(flipsOfCopies, happening.record.shard)) copiesOf(hash).forEach(damage);
    }
  },
  stop: stop.signal,
  say: (text) => process.send({ kind: "said", text }),
});
if (process.connected) process.disconnect();

/** What is listed under a name, when it is asked for the first time. */
function once(lists, name) {
  const first = !seen.has(name);
  seen.add(name);
  return first ? (lists[name] ?? []) : [];
}

/** The copies that workers on this machine have of a file. */
function copiesOf(hash) {
  const folders = readdirSync(tmpdir()).filter((name) => name.startsWith("patchbay-worker-"));
  return folders.map((name) => join(tmpdir(), name, hash)).filter((path) => existsSync(path));
}

/** Flips one bit of a file, which doubles or halves a float32 that is not 0, and tells what the file was and is. */
function damage(path) {
  const bytes = readFileSync(path);
  const before = sha256(bytes);
  const index = bytes.findIndex((_, i) => i > bytes.length / 2 && i % 4 === 2 && bytes[i + 1] > 0);
  bytes[Math.max(0, index)] ^= 0x80;
  writeFileSync(path, bytes);
  process.send({ kind: "damaged", path, before, after: sha256(readFileSync(path)) });
}
