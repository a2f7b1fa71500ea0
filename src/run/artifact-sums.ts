/**
 * @file `<out>/SHA256SUMS`: the hash of every artifact of a run, taken of the bytes in memory and kept before they are written. It
 * grows with the artifacts. `sha256sum -c` reads it, and so does everything here that reads an artifact.
 */
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomically } from "../base/write-file.js";
import type { Plan } from "../plan/plan.js";
import { runPaths } from "./run-folder.js";
import { artifactStages, type NamesArtifacts } from "./stage-artifacts.js";
import type { HasTasks } from "../plan/task-kinds.js";

const CHUNK_BYTES = 4 * 1024 * 1024;
const LINE = /^([0-9a-f]{64}) {2}artifacts\/([^/]+)$/;

/** Hashes of the artifacts by name, as they were written. A line that is not one of ours says nothing. */
export function readArtifactSums(folder: string): Map<string, string> {
  return new Map(linesOf(folder).flatMap((line) => parseLine(line) ?? []));
}

/** Puts these hashes in the place of all that were there. */
export function writeArtifactSums(folder: string, sums: ReadonlyMap<string, string>): void {
  const lines = [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, sha256]) => `${sha256}  artifacts/${name}\n`);
  writeFileAtomically(runPaths(folder).sums, lines.join(""));
}

/** The first file of an ended run that is missing or not as it was written; undefined where all is well. */
export function findDamage(
  experiments: readonly HasTasks<NamesArtifacts>[],
  folder: string,
  plan: Plan,
): string | undefined {
  const { sums, report, artifact } = runPaths(folder);
  const needed = [sums, report].find((path) => !existsSync(path));
  if (needed !== undefined) return needed;
  if (linesOf(folder).some((line) => parseLine(line) === undefined)) return sums;
  const known = readArtifactSums(folder);
  const unknown = [...artifactStages(experiments, plan).keys()].find(
    (name) => !known.has(name) && existsSync(artifact(name)),
  );
  if (unknown !== undefined) return artifact(unknown);
  const damaged = [...known].find(([name, sha256]) => !holds(artifact(name), sha256));
  return damaged === undefined ? undefined : join(folder, "artifacts", damaged[0]);
}

/** Whether the file is there and has this hash. */
export function holds(path: string, sha256: string): boolean {
  return existsSync(path) && hashOf(path) === sha256;
}

function linesOf(folder: string): string[] {
  const { sums } = runPaths(folder);
  if (!existsSync(sums)) return [];
  return readFileSync(sums, "utf8")
    .split("\n")
    .filter((line) => line !== "");
}

function parseLine(line: string): [[name: string, sha256: string]] | undefined {
  const [, sha256, name] = LINE.exec(line) ?? [];
  return sha256 === undefined || name === undefined ? undefined : [[name, sha256]];
}

function hashOf(path: string): string {
  const hash = createHash("sha256");
  const buffer = Buffer.alloc(CHUNK_BYTES);
  const file = openSync(path, "r");
  try {
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer))
      hash.update(buffer.subarray(0, read));
  } finally {
    closeSync(file);
  }
  return hash.digest("hex");
}
