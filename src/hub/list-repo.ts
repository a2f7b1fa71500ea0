/** @file What a repository holds: a revision's commit, and the commit's files. Commits do not change, so their lists are kept. */
import { listFiles, modelInfo } from "@huggingface/hub";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { badInput, PatchbayError } from "../base/errors.js";
import { readJsonFile } from "../base/read-file.js";
import { writeFileAtomically } from "../base/write-file.js";
import { inCache } from "./cache-fault.js";
import { hubUnreachable } from "./hub-errors.js";
import { fromLibrary, type HubConnection, politeFetch } from "./hub-connection.js";
import { repoPaths } from "./cache-paths.js";
import { commitSchema, type HubFile, hubFileSchema, type HubSnapshot, repoSchema } from "./snapshot.js";

/** More files than any repository of weights has. */
const MAX_FILES = 100_000;
const MAX_PAGES = 1000;

const entrySchema = z.object({
  type: z.string(),
  path: z.string(),
  size: z.number().default(0),
  oid: z.string().default(""),
  lfs: z.object({ oid: z.string(), size: z.number() }).optional(),
});
const treeSchema = z.array(hubFileSchema);

/**
 * All files of a repository at a revision (branch, tag or commit). Where the hub is away, what it said last is taken.
 * @throws bad_input for a name that is none, and for what the hub refuses; hub_unreachable.
 */
export async function listRepo(connection: HubConnection, repo: string, revision: string): Promise<HubSnapshot> {
  if (!repoSchema.safeParse(repo).success) throw badInput(`expected a name such as google/gemma-2-2b, got ${repo}`);
  if (!/^[\w.][\w./-]{0,199}$/.test(revision) || revision.includes("..") || /(^|\/)\.?(\/|$)/.test(revision))
    throw badInput(`expected a branch, a tag or a commit of ${repo}, got ${revision}`);
  const commit = commitSchema.safeParse(revision).success
    ? revision
    : await resolveRevision(connection, repo, revision);
  return { repo, revision, commit, files: await listCommit(connection, repo, commit) };
}

async function resolveRevision(connection: HubConnection, repo: string, revision: string): Promise<string> {
  const { endpoint: hubUrl, cacheFolder } = connection.settings;
  const ref = repoPaths(cacheFolder, repo).ref(revision);
  try {
    const fetch = politeFetch(connection, { repo, revision, path: null });
    const commit = await fromLibrary(connection, async () => {
      const { sha } = await modelInfo({ name: repo, revision, additionalFields: ["sha"], hubUrl, fetch });
      return commitSchema.parse(sha);
    });
    await keep(connection, ref, commit);
    return commit;
  } catch (thrown) {
    const isAway = thrown instanceof PatchbayError && thrown.code === "hub_unreachable";
    if (!(isAway || connection.settings.offline) || !existsSync(ref)) throw thrown;
    const commit = readFileSync(ref, "utf8").trim();
    if (!commitSchema.safeParse(commit).success) throw thrown;
    connection.say(
      `the hub is not asked or away: taking ${revision} of ${repo} as it was last seen (${commit.slice(0, 12)})`,
    );
    return commit;
  }
}

async function listCommit(connection: HubConnection, repo: string, revision: string): Promise<readonly HubFile[]> {
  const { endpoint: hubUrl, cacheFolder } = connection.settings;
  const kept = repoPaths(cacheFolder, repo).tree(revision);
  try {
    return readJsonFile(kept, treeSchema);
  } catch {
    // Not there, or of no use: the hub is asked.
  }
  const ask = politeFetch(connection, { repo, revision, path: null });
  let pages = 0;
  // Pages may be empty, and each may name a next one.
  const fetch: typeof ask = async (input, init) => {
    if (++pages > MAX_PAGES) throw hubUnreachable(`${repo} lists its files on more than ${MAX_PAGES} pages`);
    return await ask(input, init);
  };
  const files = await fromLibrary(connection, async () => {
    const found: HubFile[] = [];
    let seen = 0;
    for await (const item of listFiles({ repo, revision, recursive: true, hubUrl, fetch })) {
      if (++seen > MAX_FILES) throw hubUnreachable(`${repo} lists more than ${MAX_FILES} files`);
      const { type, path, size, oid, lfs } = entrySchema.parse(item);
      if (type === "file") found.push(hubFileSchema.parse({ path, size: lfs?.size ?? size, oid: lfs?.oid ?? oid }));
    }
    return found;
  });
  await keep(connection, kept, JSON.stringify(files));
  return files;
}

async function keep(connection: HubConnection, file: string, text: string): Promise<void> {
  await inCache(connection, "the list of files", () => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileAtomically(file, text);
  });
}
