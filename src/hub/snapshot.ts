/** @file Files of a repository at one commit, and where the cache keeps them. */
import { getRepoFolderName } from "@huggingface/hub";
import { join } from "node:path";
import { z } from "zod";

/** Part of a path inside a repository: nothing that could lead out of a folder. */
const pathPattern = /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^/\\\0]+(?:\/[^/\\\0]+)*$/;

/** The schema of a commit hash. */
export const commitSchema = z.string().regex(/^[0-9a-f]{40}$/);

/** The schema of a repository's name: `google/gemma-2-2b`. */
export const repoSchema = z.string().regex(/^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/);

/** The schema of {@link HubFile}. */
export const hubFileSchema = z.object({
  path: z.string().max(1000).regex(pathPattern),
  size: z.int().min(0),
  oid: z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/),
});

/** A file: its size in bytes, and its SHA-256 (large files), or git's SHA-1 of it (the others). */
export type HubFile = Readonly<z.infer<typeof hubFileSchema>>;

/** The schema of {@link HubSnapshot}. */
export const hubSnapshotSchema = z.object({
  repo: repoSchema,
  revision: z.string().max(200),
  commit: commitSchema,
  files: z.array(hubFileSchema).max(10_000).readonly(),
});

/** Chosen files of a repository at a commit, with all that is needed to fetch and check them. */
export type HubSnapshot = Readonly<z.infer<typeof hubSnapshotSchema>>;

/** The cache's paths for a repository: the layout of Python's huggingface_hub. */
export function repoPaths(cacheFolder: string, repo: string) {
  const name = getRepoFolderName({ type: "model", name: repo });
  const storage = join(cacheFolder, name);
  return {
    storage,
    /** Holds the commit that a branch or tag pointed to. */
    ref: (revision: string) => join(storage, "refs", revision),
    /** Contents, named by hash. */
    blob: (oid: string) => join(storage, "blobs", oid),
    /** What of a blob has arrived. Only ever this process's own, or one's that died: the lock says so. */
    partial: (oid: string) => join(storage, "blobs", `${oid}.patchbay.incomplete`),
    lock: (oid: string) => join(cacheFolder, ".locks", name, `${oid}.patchbay.lock`),
    /** Links to blobs, under the names they have in the repository. */
    snapshot: (commit: string) => join(storage, "snapshots", commit),
    /** The list of all files of a commit, as the hub gave it. */
    tree: (commit: string) => join(storage, "patchbay", `tree-${commit}.json`),
    /** A folder of links to some files only. */
    view: (hash: string) => join(storage, "patchbay", `files-${hash}`),
  };
}
