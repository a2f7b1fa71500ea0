/** @file Bounds on everything that crosses the wire. */

/** Version of the worker protocol. Coordinator and worker must agree on it exactly. */
export const PROTOCOL_VERSION = 3;

/** Largest gRPC message either side accepts, in bytes. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Size of a chunk of an artifact, in bytes. */
export const CHUNK_BYTES = 512 * 1024;

/** Longest text for people that is sent, in characters; longer ones are cut. */
export const MAX_TEXT = 4000;

/** What texts for people are cut to, in characters: the first length with which the message is small enough to be sent. */
export const TEXT_LENGTHS = [MAX_TEXT, 400, 40] as const;

/** Longest name of a run, worker, stage or unit, in characters. */
export const MAX_IDENTIFIER = 200;

/** Longest sweep that can be submitted, in characters. */
export const MAX_SWEEP = 1024 * 1024;

/** Longest list of files of a hub that a run names, as JSON, in characters. */
export const MAX_HUB = 2 * 1024 * 1024;

/** Most quarantined shards, warnings or reasons that one status lists. */
export const MAX_LISTED = 200;

/** Cuts a text to `length` characters, {@link MAX_TEXT} by default. */
export function clip(text: string, length: number = MAX_TEXT): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
