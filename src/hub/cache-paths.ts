/** @file Where the cache keeps the files of a repository. */
import { getRepoFolderName } from "@huggingface/hub";
import { join } from "node:path";

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
