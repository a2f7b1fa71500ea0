/** @file SHA-256 of bytes and of JSON values in one canonical spelling. */
import { createHash } from "node:crypto";

/** One update: Node accepts no more than 2 GiB. */
const UPDATE_BYTES = 2 ** 30;

/** Lower-case hex SHA-256 of the bytes. */
export function sha256(bytes: Uint8Array | string): string {
  const hash = createHash("sha256");
  if (typeof bytes === "string") return hash.update(bytes).digest("hex");
  for (let from = 0; from < bytes.length; from += UPDATE_BYTES) hash.update(bytes.subarray(from, from + UPDATE_BYTES));
  return hash.digest("hex");
}

/** JSON with object keys sorted at every depth and no white space, so equal values give equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : part,
  );
}
