/** @file What the operating system says about the cache's disk, in words that say what to do. */
import { badInput, PatchbayError } from "../base/errors.js";
import { isDiskFull } from "../base/write-file.js";
import type { HubConnection } from "./hub-connection.js";

/** The disk that the cache is on has no room. */
export function diskFull({ settings }: HubConnection, what: string, bytes: number, cause?: unknown): PatchbayError {
  return new PatchbayError(
    "disk_full",
    `the disk of ${settings.cacheFolder} is full: ${what} needs ${Math.ceil(bytes / 1e6)} MB; make room, or name another disk in HF_HOME, then run the same command, which continues`,
    { cause },
  );
}

/**
 * Runs work on the cache's files.
 * @throws disk_full; bad_input where the cache cannot be used; what `work` throws otherwise.
 */
export async function inCache<T>(connection: HubConnection, what: string, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (isDiskFull(thrown)) throw diskFull(connection, what, 1e6, thrown);
    if (!isOfFiles(thrown)) throw thrown;
    throw badInput(
      `the cache ${connection.settings.cacheFolder} cannot be used (${thrown.message}); mend that, or name another folder in HF_HOME`,
      {},
      thrown,
    );
  }
}

/** Whether the operating system refused something about a file: Node names the call and the path. */
function isOfFiles(thrown: unknown): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && "syscall" in thrown && "path" in thrown;
}
