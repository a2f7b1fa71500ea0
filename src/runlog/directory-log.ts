/**
 * @file The run log in a folder: one file for each record, `<folder>/<stage>/<number>.record`.
 *
 * To append:
 * 1. write the record under a unique name in `<folder>/.tmp`;
 * 2. `link` it to its final name, which fails when the name is taken: of two writers, in any two processes, one wins;
 * 3. flush the file and its folder to the disk, both at once, and remove the temporary name. Only then is the record reported.
 *
 * A process that dies between the steps leaves at most a temporary file, which no reader looks at and a later open removes. A machine
 * that dies before the third step may leave a torn record under the final name; its digests tell, and the next append replaces it.
 *
 * Only the flush is left to other threads. The other calls take microseconds each, and a thread's round trip costs more: with one for
 * each call, an append takes three times as long.
 */
import { randomUUID } from "node:crypto";
import {
  closeSync,
  existsSync,
  fdatasync,
  fstatSync,
  fsync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writevSync,
} from "node:fs";
import { mkdir, open, readdir, readFile, rename, stat, unlink, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { must } from "../base/assert.js";
import { PatchbayError } from "../base/errors.js";
import { mapInOrder } from "../base/map-in-order.js";
import { corrupt, decodeHead, encodeHead, HEAD_LIMIT, unlessDamaged, verifyRecord } from "./record-codec.js";
import {
  orderByShard,
  splitShardId,
  type AppendOutcome,
  type RecordEnvelope,
  type RunLog,
  type RunRecord,
} from "./run-log.js";

const flush = promisify(fsync);
const flushData = promisify(fdatasync);

const SUFFIX = ".record";
const TEMPORARY = ".tmp";
const DAMAGED = ".damaged";
/** A temporary file this old belongs to no append that is still going on. */
const STALE_AFTER_MS = 10 * 60 * 1000;
const READS_AT_ONCE = 32;
const READ_AT_ONCE_BYTES = 1024 * 1024;
const REPLACEMENTS = 3;

/**
 * Opens the run log of a folder, which is made if need be, and removes what dead writers left there.
 * @throws PatchbayError `application` when the folder cannot be written.
 */
export async function openDirectoryLog(folder: string): Promise<RunLog> {
  const madeFolders = new Set<string>();
  await makeFolder(join(folder, TEMPORARY), madeFolders);
  await sweep(join(folder, TEMPORARY));
  return {
    append: (envelope, payload) => append(folder, madeFolders, envelope, payload),
    read: (shard) => read(folder, shard),
    list: () => list(folder),
    close: () => Promise.resolve(),
  };
}

/**
 * A record of a log that another run has, which is left as it is. @returns null where there is none.
 * @throws PatchbayError `corrupt_record`.
 */
export function readDirectoryRecord(folder: string, shard: string): Promise<RunRecord | null> {
  return read(folder, shard);
}

/** Whether a log has a record of the shard, sound or not. */
export function hasDirectoryRecord(folder: string, shard: string): boolean {
  return existsSync(recordPath(folder, shard));
}

async function append(
  folder: string,
  madeFolders: Set<string>,
  envelope: RecordEnvelope,
  payload: Uint8Array,
): Promise<AppendOutcome> {
  const file = recordPath(folder, envelope.shard);
  const head = encodeHead(envelope, "inline");
  verifyRecord(envelope, payload, envelope.shard, `record of ${envelope.shard}`);
  const temporary = join(folder, TEMPORARY, randomUUID());
  try {
    await makeFolder(dirname(file), madeFolders);
    return await holding(openSync(temporary, "wx"), async (descriptor) => {
      writeWhole(descriptor, [head, payload]);
      for (let round = 0; round < REPLACEMENTS; round++) {
        if (linkIfAbsent(temporary, file)) {
          await makeDurable(descriptor, file);
          return { status: "accepted" };
        }
        const winner = await unlessDamaged(read(folder, envelope.shard));
        if (winner !== null) return { status: "duplicate", sha256: winner.envelope.sha256 };
        await setAside(folder, file, envelope.shard);
      }
      throw corrupt(file, "a damaged record came back after it was set aside");
    });
  } catch (thrown) {
    throw writeError(file, thrown);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Flushes a new record and its name. When that fails the name is taken back: nobody may count on the record. */
async function makeDurable(descriptor: number, file: string): Promise<void> {
  try {
    await holding(openSync(dirname(file), "r"), (folder) => Promise.all([flushData(descriptor), flush(folder)]));
  } catch (thrown) {
    unlinkSync(file);
    throw thrown;
  }
}

async function read(folder: string, shard: string): Promise<RunRecord | null> {
  return readRecord(recordPath(folder, shard), shard);
}

async function readRecord(file: string, shard: string): Promise<RunRecord | null> {
  const bytes = await unlessMissing(readRecordFile(file));
  if (bytes === null) return null;
  const { form, envelope, body } = decodeHead(bytes, file);
  if (form !== "inline") throw corrupt(file, "a record in a folder must hold its payload");
  return verifyRecord(envelope, body, shard, file);
}

/** Moves a damaged record away. If another writer put a good one there meanwhile, that one is put back. */
async function setAside(folder: string, file: string, shard: string): Promise<void> {
  await mkdir(join(folder, DAMAGED), { recursive: true });
  const aside = join(folder, DAMAGED, `${shard}.${randomUUID()}`);
  if ((await unlessMissing(rename(file, aside))) === null) return;
  const moved = await readRecord(aside, shard).catch(() => null);
  if (moved !== null && linkIfAbsent(aside, file)) await syncFolder(dirname(file));
}

async function list(folder: string): Promise<RecordEnvelope[]> {
  const files: string[] = [];
  for (const stage of await readdir(folder, { withFileTypes: true })) {
    if (!stage.isDirectory() || stage.name.startsWith(".")) continue;
    for (const name of await readdir(join(folder, stage.name))) {
      if (name.endsWith(SUFFIX)) files.push(join(folder, stage.name, name));
    }
  }
  const envelopes = await mapInOrder(files, READS_AT_ONCE, (file) => unlessDamaged(readEnvelope(folder, file)));
  return orderByShard(envelopes.filter((envelope) => envelope !== null));
}

/** The envelope of a record file, or null when it is gone, or not the record its name says. */
async function readEnvelope(folder: string, file: string): Promise<RecordEnvelope | null> {
  const handle = await unlessMissing(open(file, "r"));
  if (handle === null) return null;
  try {
    const { envelope } = decodeHead(await readHead(handle), file);
    return recordPath(folder, envelope.shard) === file ? envelope : null;
  } finally {
    await handle.close();
  }
}

async function readHead(handle: FileHandle): Promise<Uint8Array> {
  const first = await handle.read(Buffer.alloc(4096), 0, 4096, 0);
  if (first.bytesRead < 4096) return first.buffer.subarray(0, first.bytesRead);
  const whole = await handle.read(Buffer.alloc(HEAD_LIMIT), 0, HEAD_LIMIT, 0);
  return whole.buffer.subarray(0, whole.bytesRead);
}

function recordPath(folder: string, shard: string): string {
  const { stage, number } = splitShardId(shard);
  return join(folder, stage, `${number}${SUFFIX}`);
}

/** The bytes of a file; a small one at once, because a thread's round trips take longer than reading it. */
async function readRecordFile(file: string): Promise<Buffer> {
  const descriptor = openSync(file, "r");
  try {
    return fstatSync(descriptor).size > READ_AT_ONCE_BYTES ? await readFile(file) : readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Lends a file descriptor to `use`, and closes it afterwards. */
async function holding<T>(descriptor: number, use: (descriptor: number) => Promise<T>): Promise<T> {
  try {
    return await use(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Writes all bytes: one call may write fewer than it was given. */
function writeWhole(descriptor: number, parts: readonly Uint8Array[]): void {
  let left = parts.filter(({ length }) => length > 0);
  while (left.length > 0) {
    let written = writevSync(descriptor, left);
    while (left[0] !== undefined && written >= left[0].length) written -= must(left.shift(), "part").length;
    if (left[0] !== undefined) left = [left[0].subarray(written), ...left.slice(1)];
  }
}

function linkIfAbsent(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === "EEXIST") return false;
    throw thrown;
  }
}

/** Makes a folder and the folders above it durable: a record is lost if the name of its folder is. */
async function makeFolder(folder: string, made: Set<string>): Promise<void> {
  if (made.has(folder)) return;
  try {
    const first = await mkdir(folder, { recursive: true });
    if (first !== undefined) {
      for (let path = folder; path.length >= first.length; path = dirname(path)) await syncFolder(dirname(path));
    }
  } catch (thrown) {
    throw writeError(folder, thrown);
  }
  made.add(folder);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    const found = await unlessMissing(stat(file));
    if (found !== null && Date.now() - found.mtimeMs > STALE_AFTER_MS) await unlessMissing(unlink(file));
  }
}

/** The result, or null when the file or folder does not exist. */
async function unlessMissing<T>(pending: Promise<T>): Promise<T | null> {
  try {
    return await pending;
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return null;
    throw thrown;
  }
}

const REMEDIES: ReadonlyMap<string, string> = new Map([
  ["ENOSPC", "free some space, then run the same command again"],
  ["EDQUOT", "free some space, then run the same command again"],
  ["EACCES", "choose an output folder that you may write to"],
  ["EROFS", "choose an output folder that you may write to"],
  ["EPERM", "the run log needs hard links: choose an output folder on another file system, or --log nats://HOST:PORT"],
  [
    "ENOTSUP",
    "the run log needs hard links: choose an output folder on another file system, or --log nats://HOST:PORT",
  ],
]);

function writeError(file: string, thrown: unknown): PatchbayError {
  if (thrown instanceof PatchbayError) return thrown;
  const code = codeOf(thrown) ?? "";
  const remedy = REMEDIES.has(code) ? `: ${must(REMEDIES.get(code), code)}` : "";
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new PatchbayError("application", `run log: cannot write ${file} (${message})${remedy}`, { cause: thrown });
}

function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
}
