/**
 * @file Whether another build makes the same artifacts, byte by byte, of the sweeps in test/fixtures/sweeps. Needs `npm run build`.
 *
 * `node scripts/same-artifacts.js keep FOLDER` runs them with this build and keeps their plans, artifacts, figures and tables;
 * `node scripts/same-artifacts.js compare FOLDER` runs them again, prints a line for each file and ends with 1 at any difference.
 * The hash of the build, which every artifact holds, is masked. `renamed` says that a file differs in nothing but the hash of its plan.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./install.js";

const SWEEPS = join(ROOT, "test/fixtures/sweeps");
/** What a run leaves that depends on its plan and its environment alone. */
const KEPT = ["plan.json", "plan-prompts.json", "artifacts", "report"];

const [verb, folder] = process.argv.slice(2);
const verbs = { keep, compare };
if (folder === undefined || !Object.hasOwn(verbs, verb)) {
  console.error("usage: node scripts/same-artifacts.js keep|compare FOLDER");
  process.exitCode = 2;
} else verbs[verb](folder);

/** Runs every sweep and keeps what it leaves. */
function keep(kept) {
  eachRun((name, run) => {
    rmSync(join(kept, name), { recursive: true, force: true });
    for (const part of KEPT)
      if (existsSync(join(run, part))) cpSync(join(run, part), join(kept, name, part), { recursive: true });
    console.log(`kept  ${name}: ${filesOf(run).length} files`);
  });
}

/** Runs every sweep and compares what it leaves with what was kept. */
function compare(kept) {
  eachRun((name, run) => {
    const before = join(kept, name);
    const files = new Set([...filesOf(before), ...filesOf(run)]);
    for (const file of [...files].sort()) {
      const verdict = verdictOn({ folder: before, file }, { folder: run, file });
      console.log(`${verdict.padEnd(9)}  ${name}/${file}`);
      if (verdict !== "same") process.exitCode = 1;
    }
    if (files.size === 0) process.exitCode = 1;
  });
}

function verdictOn(before, after) {
  if (!existsSync(pathOf(before))) return "new";
  if (!existsSync(pathOf(after))) return "missing";
  if (masked(pathOf(before)) === masked(pathOf(after))) return "same";
  return unnamed(before) === unnamed(after) ? "renamed" : "differs";
}

function pathOf({ folder, file }) {
  return join(folder, file);
}

/** The text with signs in the place of the hash of the folder's plan: that of plan.json without the line feed at its end. */
function unnamed({ folder, file }) {
  const plan = readFileSync(join(folder, "plan.json"), "utf8").trimEnd();
  const hash = createHash("sha256").update(plan).digest("hex");
  return masked(pathOf({ folder, file })).replaceAll(hash, "x".repeat(hash.length));
}

/** A file's bytes as text, each hash of a build replaced by as many signs. */
function masked(path) {
  return readFileSync(path, "latin1").replace(
    /(\d+\.\d+\.\d+\+)[0-9a-f]{12}/g,
    (_, release) => release + "x".repeat(12),
  );
}

/** Paths of the files of a run that are kept, relative to its folder. */
function filesOf(run) {
  return KEPT.flatMap((part) => {
    if (!existsSync(join(run, part))) return [];
    if (part.includes(".")) return [part];
    return readdirSync(join(run, part)).map((file) => `${part}/${file}`);
  });
}

/** Calls `take` with every sweep's name and run folder, which is gone afterwards. */
function eachRun(take) {
  const scratch = mkdtempSync(join(tmpdir(), "patchbay-same-"));
  try {
    for (const file of readdirSync(SWEEPS)) {
      const run = join(scratch, file);
      const options = ["--out", run, "--backend", "wasm", "--fresh", "--json"];
      const command = [join(ROOT, "bin/patchbay.js"), "run", join(SWEEPS, file), ...options];
      const { status, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
      if (status !== 0) throw new Error(`${file}: patchbay run ended with ${String(status)}\n${stderr}`);
      take(file.replace(/\.yaml$/, ""), run);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
