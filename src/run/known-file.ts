/** @file Files whose SHA-256 is known from when they were written. What a disk has made of one since is noticed when it is read. */
import { PatchbayError } from "../base/errors.js";
import { sha256 } from "../base/hash.js";
import { sha256OfFile, withByteFile } from "../weights/byte-file.js";

/** A file and the hash of the bytes that were written to it. */
export interface KnownFile {
  readonly path: string;
  readonly sha256: string;
  /** What to do where it is damaged, in words. */
  readonly remedy: string;
}

/**
 * The file's bytes, which are those that were written.
 * @throws PatchbayError `damaged_artifact` where the file is gone or holds other bytes.
 */
export async function readKnownFile(file: KnownFile): Promise<Uint8Array> {
  const bytes = await withByteFile(file.path, (open) => open.read(0, open.size)).catch(refuse(file));
  expectHash(file, sha256(bytes));
  return bytes;
}

/**
 * Passes where the file holds the bytes that were written; it is never in memory as a whole.
 * @throws PatchbayError as {@link readKnownFile}.
 */
export async function checkKnownFile(file: KnownFile): Promise<void> {
  expectHash(file, await sha256OfFile(file.path).catch(refuse(file)));
}

/** Passes where the hash is the file's. @throws PatchbayError `damaged_artifact`. */
export function expectHash(file: KnownFile, got: string): void {
  if (got !== file.sha256) throw damage(file, `sha256 ${got}`);
}

/** The error of a damaged file: the file, what was expected, what is there, and what to do. */
export function damage({ path, sha256: expected, remedy }: KnownFile, got: string, cause?: unknown): PatchbayError {
  const message = `${path}: expected sha256 ${expected}, got ${got}: it was damaged after it was written; ${remedy}`;
  return new PatchbayError("damaged_artifact", message, { cause, detail: { file: path } });
}

/** Whether an error says that a file is damaged. */
export function isDamage(thrown: unknown): thrown is PatchbayError {
  return thrown instanceof PatchbayError && thrown.code === "damaged_artifact";
}

function refuse(file: KnownFile): (thrown: Error) => never {
  return (thrown) => {
    throw damage(file, `no readable file (${thrown.message})`, thrown);
  };
}
