/** @file How the command shows an error. */
import { namedFaults, type PatchbayError } from "./errors.js";

/** A line for each fault for people; with `--json` the same as one object. On standard error. */
export function printError(error: PatchbayError, json: boolean): void {
  process.stderr.write(
    json ? `${JSON.stringify({ error: asObject(error) })}\n` : namedFaults(error).map(asLine).join(""),
  );
}

const asLine = ({ message }: PatchbayError): string => `patchbay: ${onOneLine(message)}\n`;

function asObject(error: PatchbayError): object {
  const [{ code, message, detail }, ...others] = namedFaults(error) as [PatchbayError, ...PatchbayError[]];
  return { code, message, ...detail, ...(others.length === 0 ? {} : { others: others.map(asObject) }) };
}

/** Messages repeat names that files and servers give: these may neither break the line nor command a terminal. */
function onOneLine(message: string): string {
  return message.replace(/\p{Cc}+/gu, " ");
}
