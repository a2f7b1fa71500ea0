/** @file Files that workers and clients may fetch: the plan and the artifacts. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { badInput } from "../base/errors.js";
import { runPaths } from "../plan/run-folder.js";
import { CHUNK_BYTES } from "../wire/limits.js";
import type { ArtifactPart, FetchRequest } from "../wire/messages.js";

const hashes = new Map<string, string>();

/**
 * The header and chunks of a file. `name` is a plain file name, as the schema of the request says.
 * @throws PatchbayError `bad_input` when there is no such file.
 */
export async function* readArtifact(folder: string, { run, name }: FetchRequest): AsyncGenerator<ArtifactPart> {
  const paths = runPaths(folder);
  const file = name === "plan.json" ? paths.plan : paths.artifact(name);
  const found = await stat(file).catch(() => null);
  if (found?.isFile() !== true) throw badInput(`run ${run} has no artifact ${name}`, { field: "name" });
  const key = `${file} ${String(found.size)} ${String(found.mtimeMs)} ${String(found.ino)}`;
  const sha256 = hashes.get(key) ?? (await hashFile(file));
  hashes.set(key, sha256);
  yield { kind: "header", sha256, size: found.size };
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) {
    yield { kind: "chunk", chunk: chunk as Uint8Array };
  }
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}
