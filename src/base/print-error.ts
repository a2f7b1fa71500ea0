/** @file How the command shows an error. */
import type { PatchbayError } from "./errors.js";

/** One line for people; with `--json` the same as an object. On standard error. */
export function printError({ code, message, detail }: PatchbayError, json: boolean): void {
  process.stderr.write(
    json ? `${JSON.stringify({ error: { code, message, ...detail } })}\n` : `patchbay: ${onOneLine(message)}\n`,
  );
}

/** Messages repeat names that files and servers give: these may neither break the line nor command a terminal. */
function onOneLine(message: string): string {
  return message.replace(/\p{Cc}+/gu, " ");
}
