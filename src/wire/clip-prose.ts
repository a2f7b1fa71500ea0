/** @file Cuts what is written for people, so that one long text never makes a whole message unreadable. */
import { clip } from "./limits.js";

/** Fields that people read and no program does. Everything else is sent as it is. */
const PROSE: ReadonlySet<string> = new Set(["reason", "message", "warnings"]);

/** A copy of the message in which texts for people, wherever they stand, have at most `limit` characters. */
export function clipProse<T>(message: T, limit: number): T {
  return clipped(message, limit, false) as T;
}

function clipped(value: unknown, limit: number, isProse: boolean): unknown {
  if (typeof value === "string") return isProse ? clip(value, limit) : value;
  if (Array.isArray(value)) return value.map((item) => clipped(item, limit, isProse));
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, clipped(part, limit, PROSE.has(key))]));
}
