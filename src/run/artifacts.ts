/**
 * @file Writes and reads a run folder's artifacts. Each is hashed before it is written, and whoever reads it gets the bytes that
 * were hashed or an error: a damaged artifact is never computed with.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { sha256 } from "../base/hash.js";
import { copyFileAtomically, openFileAtomically, type PendingFile, writeFileAtomically } from "../base/write-file.js";
import { holds, readArtifactSums, writeArtifactSums } from "./artifact-sums.js";
import { checkKnownFile, damage, type KnownFile, readKnownFile } from "./known-file.js";
import { runPaths } from "./run-folder.js";

/** What a reduction reads and writes. */
export interface Artifacts {
  readonly read: ReadArtifact;
  readonly write: (name: string, bytes: Uint8Array) => void;
  /** Begins an artifact that is written piece by piece, because it may be larger than memory. */
  readonly open: (name: string) => PendingFile;
  /** A folder for files of this reduction alone, which is empty at its beginning and gone at its end. */
  readonly scratch: () => string;
}

/** The bytes of an artifact, as they were written. */
export type ReadArtifact = (name: string) => Promise<Uint8Array>;

/**
 * Writes an artifact in one step, and its hash before it. Where the process dies in between, the file does not match its hash and
 * counts as damaged. Nothing is written where the artifact is already there.
 * @throws PatchbayError `disk_full`.
 */
export function writeArtifact(folder: string, name: string, bytes: Uint8Array): void {
  const path = runPaths(folder).artifact(name);
  const hash = sha256(bytes);
  const sums = readArtifactSums(folder);
  if (sums.get(name) === hash && holds(path, hash)) return;
  writeArtifactSums(folder, sums.set(name, hash));
  writeFileAtomically(path, bytes);
}

/**
 * Begins an artifact that is written piece by piece. Its hash is taken of the bytes as they come, and kept before the file takes its name.
 * @throws PatchbayError `disk_full`, from what is returned.
 */
export function openArtifact(folder: string, name: string): PendingFile {
  const path = runPaths(folder).artifact(name);
  const file = openFileAtomically(path);
  const digest = createHash("sha256");
  return {
    append: (bytes) => {
      digest.update(bytes);
      file.append(bytes);
    },
    commit: () => {
      const hash = digest.digest("hex");
      const sums = readArtifactSums(folder);
      if (sums.get(name) === hash && holds(path, hash)) {
        file.discard();
        return;
      }
      writeArtifactSums(folder, sums.set(name, hash));
      file.commit();
    },
    discard: () => {
      file.discard();
    },
  };
}

/**
 * Copies a file that is known by its hash, and becomes an artifact as {@link writeArtifact} makes one. It is never in memory as a whole.
 * @throws PatchbayError `damaged_artifact` where the copy is not what the hash says; `disk_full`.
 */
export function copyArtifact(folder: string, name: string, file: KnownFile): void {
  const path = runPaths(folder).artifact(name);
  const sums = readArtifactSums(folder);
  if (sums.get(name) === file.sha256 && holds(path, file.sha256)) return;
  writeArtifactSums(folder, sums.set(name, file.sha256));
  copyFileAtomically(file.path, path);
  if (!holds(path, file.sha256)) throw damage(file, "other bytes");
}

/** Whether there is, or was, such an artifact. */
export function hasArtifact(folder: string, name: string): boolean {
  return readArtifactSums(folder).has(name) || existsSync(runPaths(folder).artifact(name));
}

/**
 * Reads an artifact.
 * @throws PatchbayError `damaged_artifact` where it is gone, holds other bytes than were written, or has no hash.
 */
export async function readArtifact(folder: string, name: string): Promise<Uint8Array> {
  return readKnownFile(artifactFile(folder, name));
}

/** Passes where an artifact is as it was written. @throws PatchbayError as {@link readArtifact}. */
export async function checkArtifact(folder: string, name: string): Promise<void> {
  await checkKnownFile(artifactFile(folder, name));
}

/** An artifact with the hash that it was written with. @throws PatchbayError `damaged_artifact` where there is no hash. */
export function artifactFile(folder: string, name: string): KnownFile {
  const path = runPaths(folder).artifact(name);
  const remedy = "delete the file and run the same command again, which makes it again";
  const hash = readArtifactSums(folder).get(name);
  if (hash === undefined) throw damage({ path, sha256: "from SHA256SUMS", remedy }, "no line there");
  return { path, sha256: hash, remedy };
}
