/**
 * @file Downloads one file of a snapshot into the cache.
 *
 * 1. Bytes are appended to a partial file; one that an earlier try or a killed process left is continued from its length.
 * 2. Its hash is compared with the one that the repository lists.
 * 3. It is synced to disk and takes the name that means "whole".
 */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open, rename } from "node:fs/promises";
import type { PatchbayError } from "../base/errors.js";
import { isDiskFull } from "../base/write-file.js";
import { diskFull } from "./cache-fault.js";
import { brokenConnection, HubFailure, hubUnreachable } from "./hub-errors.js";
import { type HubConnection, request, retrying, watchSilence } from "./hub-connection.js";
import { repoPaths } from "./cache-paths.js";
import type { HubFile, HubSnapshot } from "./snapshot.js";

/** A try that brings less than this, and does not end the file, counts as one that brings nothing. */
const FRUITFUL_BYTES = 2 ** 20;
const READ_BYTES = 4 * 2 ** 20;

/** Told how many bytes of the file are here. */
export type OnBytes = (bytes: number) => void;

/** Downloads `file` to its blob. The caller holds the file's lock. @throws bad_input, hub_unreachable, disk_full. */
export async function downloadFile(
  connection: HubConnection,
  snapshot: HubSnapshot,
  file: HubFile,
  onBytes: OnBytes,
): Promise<void> {
  const { blob, partial } = repoPaths(connection.settings.cacheFolder, snapshot.repo);
  let restarts = 0;
  await retrying(connection, async (fruitful) => {
    const handle = await open(partial(file.oid), "a+");
    try {
      const hash = startHash(file);
      const before = await readBack(handle, file, hash);
      onBytes(before);
      const after =
        before === file.size ? before : await append({ connection, snapshot, file, handle, hash, onBytes }, before);
      if (after - before >= FRUITFUL_BYTES) fruitful();
      if (after < file.size) throw new HubFailure(cutShort(snapshot, file, after), 0);
      const got = hash.digest("hex");
      if (got !== file.oid) {
        await handle.truncate(0); // Whatever is wrong with it, it cannot be continued.
        throw new HubFailure(damaged(snapshot, file, got), restarts++ === 0 ? 0 : null);
      }
      await handle.sync();
    } catch (thrown) {
      throw isDiskFull(thrown) ? diskFull(connection, file.path, file.size, thrown) : thrown;
    } finally {
      await handle.close();
    }
  });
  await rename(partial(file.oid), blob(file.oid));
}

interface Transfer {
  readonly connection: HubConnection;
  readonly snapshot: HubSnapshot;
  readonly file: HubFile;
  readonly handle: FileHandle;
  readonly hash: Hash;
  readonly onBytes: OnBytes;
}

/** Large files are listed by SHA-256, the others by git's name for their contents. */
function startHash({ oid, size }: HubFile): Hash {
  return oid.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}

/** Hashes what is there. @returns its length; 0 after throwing away more than there should be. */
async function readBack(handle: FileHandle, { size }: HubFile, hash: Hash): Promise<number> {
  const { size: length } = await handle.stat();
  if (length > size) {
    await handle.truncate(0);
    return 0;
  }
  const buffer = Buffer.alloc(Math.min(length, READ_BYTES));
  for (let done = 0; done < length;) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, length - done), done);
    if (bytesRead === 0) throw new Error(`bug: a file shrank while it was locked`);
    hash.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
  }
  return length;
}

/** Asks for the rest and writes it. @returns how many bytes are there when the body ends. */
async function append(transfer: Transfer, from: number): Promise<number> {
  const { connection, snapshot, file, handle, hash, onBytes } = transfer;
  const { repo, commit, revision } = snapshot;
  const url = `${connection.settings.endpoint}/${repo}/resolve/${commit}/${file.path.split("/").map(encodeURIComponent).join("/")}`;
  const alarm = watchSilence();
  let length = from;
  try {
    const headers = { "accept-encoding": "identity", ...(from === 0 ? {} : { range: `bytes=${from}-` }) };
    const response = await request(connection, { repo, revision, path: file.path }, url, {
      headers,
      signal: alarm.signal,
    });
    if (from > 0 && !continues(response, from)) {
      await response.body?.cancel();
      await handle.truncate(0);
      throw new HubFailure(hubUnreachable(`${url}: the server cannot continue a download; it begins again`), 0);
    }
    for await (const part of bodyOf(response, connection)) {
      alarm.heard();
      if (length + part.length > file.size) throw new HubFailure(tooLong(snapshot, file), null);
      await handle.appendFile(part);
      hash.update(part);
      length += part.length;
      onBytes(length);
    }
    return length;
  } finally {
    alarm.end();
  }
}

function continues({ status, headers }: Response, from: number): boolean {
  return status === 206 && (headers.get("content-range") ?? "").startsWith(`bytes ${from}-`);
}

/** The body's parts; where it breaks off it just ends, because what came counts. */
async function* bodyOf(response: Response, { say, settings }: HubConnection): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of response.body ?? []) yield part as Uint8Array;
  } catch (thrown) {
    say(brokenConnection(thrown, settings).message);
  }
}

function cutShort({ repo }: HubSnapshot, { path, size }: HubFile, got: number): PatchbayError {
  return hubUnreachable(
    `${repo} ${path}: cut short: expected ${size} bytes, got ${got}; the same command continues it`,
  );
}

function damaged({ repo }: HubSnapshot, { path, oid }: HubFile, got: string): PatchbayError {
  return hubUnreachable(
    `${repo} ${path}: damaged on its way: expected the hash ${oid}, got ${got}; try again, without a proxy that changes files`,
  );
}

function tooLong({ repo }: HubSnapshot, { path, size }: HubFile): PatchbayError {
  return hubUnreachable(
    `${repo} ${path}: expected ${size} bytes, got more; is something between here and the hub changing files?`,
  );
}
