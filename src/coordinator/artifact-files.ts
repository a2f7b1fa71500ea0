/** @file Files that workers and clients may fetch: the plan and the artifacts. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { badInput } from "../base/errors.js";
import { PLAN_FILE, PLAN_PROMPTS_FILE } from "../plan/stored-plan.js";
import { artifactFile, checkArtifact, hasArtifact } from "../run/artifacts.js";
import { expectHash, isDamage, type KnownFile } from "../run/known-file.js";
import { sha256OfFile } from "../weights/byte-file.js";
import { CHUNK_BYTES } from "../wire/limits.js";
import type { ArtifactPart, FetchRequest } from "../wire/messages.js";

/**
 * The header and chunks of a file. `name` is a plain file name, as the schema of the request says. The header's hash is the one that
 * the artifact was written with, and the file is checked against it before and while it is sent.
 * @param remake - makes an artifact again that was found damaged.
 * @throws PatchbayError `bad_input` when there is no such file; `damaged_artifact` when it is not as it was written; what `remake`
 *   throws.
 */
export async function* artifactParts(
  folder: string,
  { run, name }: FetchRequest,
  remake: () => Promise<void>,
): AsyncGenerator<ArtifactPart> {
  const isPlan = name === PLAN_FILE || name === PLAN_PROMPTS_FILE;
  const file = isPlan ? await planFile(folder, name) : await soundArtifact(folder, { run, name }, remake);
  const { size } = await stat(file.path);
  yield { kind: "header", sha256: file.sha256, size };
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file.path, { highWaterMark: CHUNK_BYTES })) {
    hash.update(chunk as Uint8Array);
    yield { kind: "chunk", chunk: chunk as Uint8Array };
  }
  expectHash(file, hash.digest("hex"));
}

/** The plan's files are known by the plan hash, which whoever fetches them checks. */
async function planFile(folder: string, name: string): Promise<KnownFile> {
  const path = join(folder, name);
  return { path, sha256: await sha256OfFile(path), remedy: "fetch it again" };
}

async function soundArtifact(
  folder: string,
  { run, name }: FetchRequest,
  remake: () => Promise<void>,
): Promise<KnownFile> {
  if (!hasArtifact(folder, name)) throw badInput(`run ${run} has no artifact ${name}`, { field: "name" });
  try {
    await checkArtifact(folder, name);
  } catch (thrown) {
    if (!isDamage(thrown)) throw thrown;
    await remake();
    await checkArtifact(folder, name);
  }
  return artifactFile(folder, name);
}
