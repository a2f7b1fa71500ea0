/**
 * @file What clients call a run: by its folder's name, or by the beginning of it. The coordinator's own ids are longer, because a
 * folder that is deleted and made again is another run with other records.
 */
import { basename } from "node:path";
import { badInput } from "../base/errors.js";
import { MAX_IDENTIFIER } from "../wire/limits.js";
import type { RunStatus } from "../wire/messages.js";

/** A run's name for clients: as much of its folder's name as a message holds. */
export function runNameOf(folder: string): string {
  return basename(folder).slice(0, MAX_IDENTIFIER);
}

/** A status under the run's name for clients. */
export function shownStatus(status: RunStatus): RunStatus {
  return { ...status, run: runNameOf(status.folder) };
}

/**
 * The id of the run that a client names: by its folder's name or the beginning of it, or by its id.
 * @param folders - run folders by id, in the order in which they were served. Of runs in one folder the last is meant.
 * @throws PatchbayError `bad_input`, listing the runs that may be meant.
 */
export function findRun(given: string, folders: ReadonlyMap<string, string>): string {
  if (folders.has(given)) return given;
  const ids = new Map([...folders].map(([id, folder]) => [runNameOf(folder), id]));
  const exact = ids.get(given);
  if (exact !== undefined) return exact;
  const begun = [...ids].filter(([name]) => name.startsWith(given));
  const [only, ...others] = begun;
  if (only !== undefined && others.length === 0) return only[1];
  if (only !== undefined) {
    const names = begun.map(([name]) => name).join(", ");
    throw badInput(`several runs of the coordinator begin with ${given}: ${names}; write more of the name`, {
      field: "run",
    });
  }
  const list = ids.size === 0 ? "it has none" : `it has ${[...ids.keys()].join(", ")}`;
  throw badInput(`the coordinator has no run ${given}; ${list}`, { field: "run" });
}
