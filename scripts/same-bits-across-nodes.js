/**
 * @file `npm run test:nodes`: whether every supported version of Node makes the same bytes. Needs `npm run build`.
 *
 * Runs sweeps on wasm under each version, those of test/fixtures/sweeps and data/demo.yaml unless others are named, and compares SHA-256
 * of the plan and of every artifact. Prints a line for each file, and ends with 1 at any difference and where a Node is missing.
 * `--keep FILE` adds the hashes as JSON.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ROOT } from "./install.js";
import { MAJORS, obtainNode } from "./node-versions.js";

const SWEEPS = join(ROOT, "test/fixtures/sweeps");

/** SHA-256 of a sweep's plan and artifacts, by name, as this Node makes them. Throws where the run does not end well. */
export function hashesOn(node, sweep) {
  const folder = mkdtempSync(join(tmpdir(), "patchbay-nodes-"));
  const run = join(folder, "run");
  try {
    const options = ["--out", run, "--backend", "wasm", "--fresh", "--json"];
    const command = [join(ROOT, "bin/patchbay.js"), "run", sweep, ...options];
    const { status, stderr } = spawnSync(node, command, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${node}: ${sweep}: patchbay run ended with ${String(status)}\n${stderr}`);
    const files = [
      "plan.json",
      "plan-prompts.json",
      ...readdirSync(join(run, "artifacts")).map((name) => join("artifacts", name)),
    ];
    return Object.fromEntries(files.sort().map((file) => [file, sha256(join(run, file))]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const sha256 = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");

/** Prints how the files of one sweep compare. Returns whether all are the same. */
function compare(sweep, nodes) {
  const name = basename(sweep, ".yaml");
  const hashes = nodes.map((node) => hashesOn(node, sweep));
  const files = [...new Set(hashes.flatMap(Object.keys))].sort();
  const different = files.filter((file) => new Set(hashes.map((one) => one[file])).size > 1);
  for (const file of files) console.log(`${different.includes(file) ? "differs" : "same   "}  ${name}/${file}`);
  return { name, files: hashes[0], isSame: different.length === 0 };
}

function main() {
  const { values, positionals } = parseArgs({ options: { keep: { type: "string" } }, allowPositionals: true });
  const obtained = MAJORS.map(obtainNode);
  for (const { path, problem } of obtained) console.log(path ?? problem);
  const nodes = obtained.flatMap(({ path }) => path ?? []);
  const own = [...readdirSync(SWEEPS).map((file) => join(SWEEPS, file)), join(ROOT, "data/demo.yaml")];
  const compared = (positionals.length > 0 ? positionals : own).map((sweep) => compare(sweep, nodes));
  const isSame = compared.every((one) => one.isSame);
  const count = compared.reduce((sum, { files }) => sum + Object.keys(files).length, 0);
  console.log(`${count} files on ${nodes.length} versions of Node: ${isSame ? "the same bytes" : "some differ"}`);
  const kept = Object.fromEntries(compared.map(({ name, files }) => [name, files]));
  if (values.keep !== undefined) writeFileSync(values.keep, `${JSON.stringify(kept, null, 2)}\n`);
  process.exitCode = isSame && nodes.length === MAJORS.length ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
