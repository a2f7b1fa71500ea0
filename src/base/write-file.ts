/** @file Writes a file in one step: readers see the old one or the new one, whatever happens. */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";

/** Writes to a temporary name, syncs to disk, renames. Owner of the name: whoever calls. */
export function writeFileAtomically(path: string, contents: string | Uint8Array): void {
  const temporary = `${path}.${String(process.pid)}.tmp`;
  const file = openSync(temporary, "w");
  try {
    const bytes = typeof contents === "string" ? Buffer.from(contents) : contents;
    for (let done = 0; done < bytes.byteLength;) done += writeSync(file, bytes, done);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}
