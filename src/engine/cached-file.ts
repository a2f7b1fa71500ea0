/** @file A worker's copies of a run's files. Each is called by the SHA-256 of its bytes, so whoever opens one can check it. */
import { basename } from "node:path";
import { checkKnownFile, isDamage, type KnownFile, readKnownFile } from "../run/known-file.js";

/** The bytes of a copy. @throws PatchbayError `damaged_artifact` where they are not those that were fetched. */
export async function readCachedFile(path: string): Promise<Uint8Array> {
  return readKnownFile(knownCopy(path));
}

/** Whether a copy is as it was fetched. */
export async function isSound(path: string): Promise<boolean> {
  try {
    await checkKnownFile(knownCopy(path));
    return true;
  } catch (thrown) {
    if (isDamage(thrown)) return false;
    throw thrown;
  }
}

function knownCopy(path: string): KnownFile {
  return { path, sha256: basename(path), remedy: "the worker fetches it again" };
}
