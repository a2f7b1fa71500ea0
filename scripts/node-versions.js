/**
 * @file Finds the versions of Node that are supported, or fetches them from npm into the project's cache (40 MB each).
 * `node scripts/node-versions.js` prints where they lie; exit code 1 where one is missing.
 */
import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram, obtainProgram, printProgram, ROOT, run } from "./test-programs.js";

/** By major version: what is fetched where the machine has no Node of that one. */
const VERSIONS = { 20: "20.20.2", 22: "22.23.5", 24: "24.22.3" };

/** The major versions that are supported. */
export const MAJORS = Object.keys(VERSIONS);

/** The Node of a major version on PATH or in the project's cache; null where there is none. */
export const findNode = (major) => findProgram(programOf(major));

/** Finds a Node or fetches it. Returns `{ path }`, or `{ problem }`: one line that says what was tried. */
export const obtainNode = (major) => obtainProgram(programOf(major));

function programOf(major) {
  return {
    name: `node-${major}`,
    wanted: `Node ${major}`,
    others: ["node"],
    isUsable: (file) => run(file, ["--version"]).stdout.startsWith(`v${major}.`),
    sources: { npm: (folder) => fromNpm(major, folder) },
  };
}

function fromNpm(major, folder) {
  const name = `node-linux-${process.arch}@${VERSIONS[major]}`;
  if (process.platform !== "linux") return { problem: `${name} is for Linux` };
  const packed = run("npm", ["pack", "--silent", "--pack-destination", folder, name], { cwd: ROOT });
  if (packed.problem !== null) return { problem: packed.problem };
  const [archive = ""] = readdirSync(folder);
  const { problem } = run("tar", ["-xzf", archive, "--no-same-owner", "package/bin/node"], { cwd: folder });
  if (problem !== null) return { problem };
  const kept = join(folder, "kept");
  mkdirSync(kept);
  renameSync(join(folder, "package", "bin", "node"), join(kept, `node-${major}`));
  return { kept };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) for (const major of MAJORS) printProgram(obtainNode(major));
