/**
 * @file `<out>/SHA256SUMS`: the hashes of a run's artifacts, written once they are all there. `sha256sum -c` reads it, and so does the
 * command that finds a complete run: a run whose artifacts were damaged since is not complete.
 */
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomically } from "../base/write-file.js";
import { runPaths } from "./run-folder.js";

const CHUNK_BYTES = 4 * 1024 * 1024;

/** Writes the hashes of all artifacts that are there. */
export function writeArtifactSums(folder: string): void {
  const { artifacts, sums } = runPaths(folder);
  const names = readdirSync(artifacts).sort();
  const lines = names.map((name) => `${hashOf(join(artifacts, name))}  artifacts/${name}\n`);
  writeFileAtomically(sums, lines.join(""));
}

/** The first file of an ended run that is missing or not as it was written; undefined where all is well. */
export function findDamage(folder: string): string | undefined {
  const { sums, report } = runPaths(folder);
  const needed = [sums, report].find((path) => !existsSync(path));
  if (needed !== undefined) return needed;
  const lines = readFileSync(sums, "utf8").split("\n");
  return lines
    .filter((line) => line !== "")
    .map((line) => ({ sha256: line.slice(0, 64), path: join(folder, line.slice(66)) }))
    .find(({ sha256, path }) => !existsSync(path) || hashOf(path) !== sha256)?.path;
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
