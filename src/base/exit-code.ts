/** @file Exit codes of the command and of the processes it starts. docs/formats.md lists those of the command. */
import type { ErrorCode, PatchbayError } from "./errors.js";

/** What a process ends with. After `crashed`, a bug, a parent starts it again. */
export const EXIT = { complete: 0, failed: 1, badInput: 2, partial: 3, crashed: 70, interrupted: 130 } as const;

const EXIT_OF_STATE = {
  complete: EXIT.complete,
  failed: EXIT.failed,
  cancelled: EXIT.failed,
  partial: EXIT.partial,
  interrupted: EXIT.interrupted,
} as const;

/** How a run can stand: the states in which it ended, and those in which it has not. */
type AnyState = keyof typeof EXIT_OF_STATE | "queued" | "running";

/** Errors that the user can mend; nothing was started. */
const MENDABLE: ReadonlySet<ErrorCode> = new Set([
  "bad_input",
  "not_built",
  "different_plan",
  "different_environment",
  "port_in_use",
  "nats_unreachable",
  "hub_unreachable",
]);

/** Exit code of a run in `state`; `unended` where it has not ended. */
export function exitCodeOfState(state: AnyState, unended: number): number {
  return state === "queued" || state === "running" ? unended : EXIT_OF_STATE[state];
}

/** Exit code of a command line that commander answered itself: one it refused, or one that asked for `--help` or `--version`. */
export function exitCodeOfCommander({ exitCode }: { readonly exitCode: number }): number {
  return exitCode === 0 ? EXIT.complete : EXIT.badInput;
}

/** Exit code of an error: 2 where the user can mend it and nothing was started, else `otherwise`. */
export function exitCodeOfError({ code }: PatchbayError, otherwise: number = EXIT.failed): number {
  return MENDABLE.has(code) ? EXIT.badInput : otherwise;
}
