/** @file Puts the files of a snapshot into the cache, those that are not there, once per machine. */
import { existsSync, mkdirSync, renameSync, rmSync, statfsSync, statSync, symlinkSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { canonicalJson, sha256 } from "../base/hash.js";
import { withMachineLock } from "./machine-lock.js";
import { diskFull, inCache } from "./cache-fault.js";
import { downloadFile } from "./download-file.js";
import type { HubConnection } from "./hub-connection.js";
import { repoPaths } from "./cache-paths.js";
import type { HubFile, HubSnapshot } from "./snapshot.js";

/** How far a fetch is, in bytes of all files that were lacking. */
export interface FetchProgress {
  /** File that is coming in. */
  readonly path: string;
  readonly done: number;
  readonly total: number;
}

/** Told about every piece that comes in. */
export type OnFetchProgress = (progress: FetchProgress) => void;

/**
 * Fetches what is lacking. A file that is in the cache under its name is whole: it got the name after its hash was checked.
 * @returns the folder in which the files have the names that they have in the repository.
 * @throws bad_input for what the hub refuses, and for a cache that cannot be used; hub_unreachable; disk_full. What has arrived is
 * kept, and continued next time.
 */
export async function fetchFiles(
  connection: HubConnection,
  snapshot: HubSnapshot,
  onProgress: OnFetchProgress = () => undefined,
): Promise<string> {
  return await inCache(connection, snapshot.repo, () => fetchLacking(connection, snapshot, onProgress));
}

async function fetchLacking(
  connection: HubConnection,
  snapshot: HubSnapshot,
  onProgress: OnFetchProgress,
): Promise<string> {
  const paths = repoPaths(connection.settings.cacheFolder, snapshot.repo);
  const folder = paths.snapshot(snapshot.commit);
  const isHere = (file: HubFile): boolean =>
    isWhole(join(folder, file.path), file) || isWhole(paths.blob(file.oid), file);
  const lacking = snapshot.files.filter((file) => !isHere(file));
  const total = lacking.reduce((sum, { size }) => sum + size, 0);
  mkdirSync(dirname(paths.blob("x")), { recursive: true });
  const started = lacking.reduce(
    (sum, { oid }) => sum + (statSync(paths.partial(oid), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
  expectRoom(connection, snapshot.repo, total - started);
  let before = 0;
  for (const file of lacking) {
    await withMachineLock(paths.lock(file.oid), connection, async () => {
      if (isHere(file)) return; // Another process was faster.
      await downloadFile(connection, snapshot, file, (bytes) => {
        onProgress({ path: file.path, done: before + bytes, total });
      });
    });
    before += file.size;
  }
  for (const file of snapshot.files) {
    const link = join(folder, file.path);
    if (!isWhole(link, file)) linkTo(paths.blob(file.oid), link);
  }
  return folder;
}

/**
 * A folder that holds the files of some snapshots and nothing else, one folder for each repository, as links into the cache.
 * All files have been fetched.
 */
export async function gatherSnapshots(connection: HubConnection, snapshots: readonly HubSnapshot[]): Promise<string> {
  return await inCache(connection, "a folder of links", () => gather(connection, snapshots));
}

function gather({ settings }: HubConnection, snapshots: readonly HubSnapshot[]): string {
  const [first] = snapshots;
  if (first === undefined) throw new Error("bug: nothing to gather");
  const folder = repoPaths(settings.cacheFolder, first.repo).view(sha256(canonicalJson(snapshots)).slice(0, 16));
  if (existsSync(folder)) return folder;
  const draft = `${folder}.${process.pid}.tmp`;
  rmSync(draft, { recursive: true, force: true });
  for (const { repo, commit, files } of snapshots) {
    const snapshot = repoPaths(settings.cacheFolder, repo).snapshot(commit);
    // Links are relative, and the draft lies where the folder will.
    for (const { path } of files) linkTo(join(snapshot, path), join(draft, basename(repo), path));
  }
  try {
    renameSync(draft, folder);
  } catch (thrown) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(folder)) throw thrown; // Another process was faster, and made the same.
  }
  return folder;
}

function expectRoom(connection: HubConnection, repo: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(connection.settings.cacheFolder);
  if (bytes > bavail * bsize) throw diskFull(connection, repo, bytes);
}

function isWhole(path: string, { size }: HubFile): boolean {
  const status = statSync(path, { throwIfNoEntry: false });
  return status?.isFile() === true && status.size === size;
}

function linkTo(target: string, link: string): void {
  mkdirSync(dirname(link), { recursive: true });
  const draft = `${link}.${process.pid}.tmp`;
  rmSync(draft, { force: true });
  symlinkSync(relative(dirname(link), target), draft);
  renameSync(draft, link);
}
