/** @file Opens the run log that a location names. */
import { isAbsolute } from "node:path";
import { badInput } from "../base/errors.js";
import { openDirectoryLog } from "./directory-log.js";
import type { RunLog } from "./run-log.js";

/**
 * Opens a run log.
 * @param location `dir:<absolute path>` or `nats://HOST:PORT`.
 * @param runId Names the run inside a shared NATS server; a folder belongs to one run already.
 * @throws PatchbayError `bad_input` for another location; `nats_unreachable` when the server does not answer.
 */
export async function openRunLog(location: string, runId: string): Promise<RunLog> {
  if (!isNats(location)) return openDirectoryLog(location.slice("dir:".length));
  const { openJetStreamLog } = await import("./jetstream-log.js"); // A run in a folder does not load the NATS client.
  return openJetStreamLog(location, runId);
}

/**
 * Checks before a run that its log can be opened, without leaving anything behind.
 * @throws PatchbayError as {@link openRunLog}.
 */
export async function checkRunLog(location: string): Promise<void> {
  if (!isNats(location)) return;
  const { checkJetStream } = await import("./jetstream-log.js");
  await checkJetStream(location);
}

/** Whether the location is a NATS server; false for a folder. @throws PatchbayError `bad_input` when it is neither. */
function isNats(location: string): boolean {
  if (location.startsWith("dir:") && isAbsolute(location.slice("dir:".length))) return false;
  if (/^(nats|tls):\/\//.test(location)) return true;
  throw badInput(`run log: expected dir:<absolute folder> or nats://HOST:PORT, got ${location}`, { field: "--log" });
}
