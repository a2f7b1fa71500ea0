/** @file A role as a process of its own: what it ends with, and what it says of an error. */
import { CommanderError } from "commander";
import { PatchbayError, toPatchbayError } from "../base/errors.js";
import { EXIT, exitCodeOfCommander, exitCodeOfError } from "../base/exit-code.js";

/**
 * Runs a role to its end and sets this process's exit code: what `main` gives, else that of the error, which is printed. An
 * exception that nobody waits for is a bug and ends the process at once. In the end the pipe to the parent is closed.
 */
export async function runRole(name: string, main: () => Promise<number>): Promise<void> {
  process.on("uncaughtException", (error) => {
    // A full disk is met wherever run.json is written; starting again would not help.
    if (error instanceof PatchbayError && error.code === "disk_full") {
      process.stderr.write(`${name}: ${error.message}\n`);
      process.exit(EXIT.failed);
    }
    process.stderr.write(`${name}: bug: ${error.stack ?? error.message}\n`);
    process.exit(EXIT.crashed);
  });
  try {
    process.exitCode = await main();
  } catch (thrown) {
    process.exitCode = thrown instanceof CommanderError ? exitCodeOfCommander(thrown) : printed(thrown);
  }
  if (process.connected) process.disconnect();
}

/** Prints an error. @returns its exit code. */
function printed(thrown: unknown): number {
  const error = toPatchbayError(thrown);
  process.stderr.write(`patchbay: ${error.message}\n`);
  return exitCodeOfError(error, EXIT.crashed);
}
