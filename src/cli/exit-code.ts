/** @file Exit codes of the command. docs/formats.md lists them. */
import type { PatchbayError } from "../base/errors.js";
import type { RunStatus } from "../plan/run-folder.js";

/** What the command ends with. */
export const EXIT = { complete: 0, failed: 1, badInput: 2, partial: 3, interrupted: 130 } as const;

const NOTHING_STARTED = new Set([
  "bad_input",
  "not_built",
  "different_plan",
  "different_environment",
  "port_in_use",
  "nats_unreachable",
]);

/** Exit code of an error: 2 where the user can mend it and nothing was started. */
export function exitCodeOfError(error: PatchbayError): number {
  return NOTHING_STARTED.has(error.code) ? EXIT.badInput : EXIT.failed;
}

/** Exit code of a run's status. */
export function exitCodeOfRun(status: RunStatus): number {
  switch (status) {
    case "complete":
      return EXIT.complete;
    case "partial":
      return EXIT.partial;
    case "running":
      return EXIT.interrupted;
    case "failed":
    case "cancelled":
      return EXIT.failed;
  }
}
