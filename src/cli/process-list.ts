/** @file `<out>/processes.json`: the processes of an embedded run, for people and for tests that kill them. */
import { rmSync } from "node:fs";
import { writeFileAtomically } from "../base/write-file.js";
import { runPaths } from "../run/run-folder.js";

/** One process of the run. `worker`: the worker's name; empty for the coordinator. */
export interface ListedProcess {
  readonly role: "coordinator" | "worker" | "engine";
  readonly pid: number;
  readonly worker: string;
}

/** Keeps the file up to date. */
export interface ProcessList {
  /** Sets (or with null removes) the process of a role. */
  set(role: ListedProcess["role"], worker: string, pid: number | null): void;
  /** Removes the file. */
  close(): void;
}

/** Starts an empty list. */
export function createProcessList(folder: string): ProcessList {
  const listed = new Map<string, ListedProcess>();
  const path = runPaths(folder).processes;
  return {
    set: (role, worker, pid) => {
      if (pid === null) listed.delete(`${role}/${worker}`);
      else listed.set(`${role}/${worker}`, { role, pid, worker });
      try {
        writeFileAtomically(path, `${JSON.stringify([...listed.values()], null, 1)}\n`);
      } catch {
        // The list only informs: a full disk is reported by what the run cannot do without.
      }
    },
    close: () => {
      rmSync(path, { force: true });
    },
  };
}
