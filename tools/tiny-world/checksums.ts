/** @file Checksums of a folder's files, in the format of sha256sum. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { must } from "../../src/base/assert.js";
import { badInput } from "../../src/base/errors.js";
import { sha256 } from "../../src/base/hash.js";
import { readTextFile } from "../../src/base/read-file.js";

/** The list's file name. */
export const CHECKSUMS = "CHECKSUMS";

/** SHA-256 of every file below the named subfolders, by path relative to `folder`, sorted. */
export function hashFiles(folder: string, subfolders: readonly string[]): Map<string, string> {
  const paths = subfolders.flatMap((subfolder) =>
    readdirSync(join(folder, subfolder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(folder, join(entry.parentPath, entry.name))),
  );
  return new Map(paths.sort().map((path) => [path, sha256(readFileSync(join(folder, path)))]));
}

/** Writes the list. */
export function writeChecksums(folder: string, hashes: ReadonlyMap<string, string>): void {
  const lines = [...hashes].map(([path, hash]) => `${hash}  ${path}\n`);
  writeFileSync(join(folder, CHECKSUMS), lines.join(""));
}

/**
 * Reads the list.
 * @throws PatchbayError `bad_input` when it is missing or a line is not `<sha256>  <path>`.
 */
export function readChecksums(folder: string): Map<string, string> {
  const file = join(folder, CHECKSUMS);
  const lines = readTextFile(file).split("\n").slice(0, -1);
  return new Map(
    lines.map((line, index) => {
      const match = /^([0-9a-f]{64}) {2}(.+)$/.exec(line);
      if (match === null) throw badInput("expected `<sha256>  <path>`", { file, line: index + 1 });
      return [must(match[2], "path"), must(match[1], "hash")];
    }),
  );
}

/** Paths whose files differ from the list, are missing, or are not in it. */
export function changedFiles(expected: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>): string[] {
  const paths = new Set([...expected.keys(), ...found.keys()]);
  return [...paths].filter((path) => expected.get(path) !== found.get(path)).sort();
}
