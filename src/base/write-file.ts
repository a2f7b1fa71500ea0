/** @file Writes a file in one step: readers see the old one or the new one, whatever happens. */
import { closeSync, copyFileSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { PatchbayError } from "./errors.js";

/** One write: Node accepts no more than 2 GiB. */
const WRITE_BYTES = 64 * 2 ** 20;

/**
 * Writes to a temporary name, syncs to disk, renames. Owner of the name: whoever calls.
 * @throws disk_full, saying what to do; what the operating system says otherwise.
 */
export function writeFileAtomically(path: string, contents: string | Uint8Array): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeDurably(temporary, contents);
    renameSync(temporary, path);
  } catch (thrown) {
    rmSync(temporary, { force: true });
    throw writeFault(path, thrown);
  }
}

/** A file that is written piece by piece and appears in one step. Owner: whoever opened it, through `commit` or `discard`. */
export interface PendingFile {
  /** @throws disk_full. */
  append(bytes: Uint8Array): void;
  /** Syncs to disk and takes the name. @throws disk_full. */
  commit(): void;
  /** Leaves no trace. */
  discard(): void;
}

/** Begins a file as {@link writeFileAtomically} writes one. */
export function openFileAtomically(path: string): PendingFile {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = openSync(temporary, "w");
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(file);
    isOpen = false;
  };
  const orFault = (write: () => void): void => {
    try {
      write();
    } catch (thrown) {
      throw writeFault(path, thrown);
    }
  };
  return {
    append: (bytes) => {
      orFault(() => {
        writeAll(file, bytes);
      });
    },
    commit: () => {
      orFault(() => {
        fsyncSync(file);
        close();
        renameSync(temporary, path);
      });
    },
    discard: () => {
      close();
      rmSync(temporary, { force: true });
    },
  };
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength;)
    done += writeSync(file, bytes, done, Math.min(WRITE_BYTES, bytes.byteLength - done));
}

/** Copies a file as {@link writeFileAtomically} writes one. @throws as that does. */
export function copyFileAtomically(from: string, path: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    copyFileSync(from, temporary);
    syncToDisk(temporary);
    renameSync(temporary, path);
  } catch (thrown) {
    rmSync(temporary, { force: true });
    throw writeFault(path, thrown);
  }
}

function syncToDisk(path: string): void {
  const file = openSync(path, "r+");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** What was thrown while a file was written: a full disk as disk_full, saying what to do; anything else as it is. */
export function writeFault(path: string, thrown: unknown): unknown {
  if (!isDiskFull(thrown)) return thrown;
  const message = `${path}: cannot be written, the disk is full; free some space, then run the same command again`;
  return new PatchbayError("disk_full", message, { cause: thrown });
}

/** Whether the operating system says that there is no room left. */
export function isDiskFull(thrown: unknown): boolean {
  const { code } = thrown as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}

function writeDurably(path: string, contents: string | Uint8Array): void {
  const file = openSync(path, "w");
  try {
    writeAll(file, typeof contents === "string" ? Buffer.from(contents) : contents);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
