/**
 * @file The directory of a zip archive, read from the end of the file, with every offset and length checked against the file.
 * Source: PKWARE APPNOTE 6.3.10, sections 4.3 (records) and 4.5.3 (zip64).
 */
import { badInput, type ErrorDetail } from "../base/errors.js";
import type { ByteFile } from "./byte-file.js";

const END = 0x06054b50;
const END_BYTES = 22;
const END64_LOCATOR = 0x07064b50;
const END64_LOCATOR_BYTES = 20;
const END64 = 0x06064b50;
const END64_BYTES = 56;
const CENTRAL = 0x02014b50;
const CENTRAL_BYTES = 46;
const LOCAL = 0x04034b50;
const LOCAL_BYTES = 30;
const ZIP64_FIELD = 1;
const MAX_COMMENT_BYTES = 0xffff;
const MAX_ENTRIES = 10_000;
const MAX_DIRECTORY_BYTES = 16 * 2 ** 20;
/** No deflate stream expands further. */
const MAX_EXPANSION = 1032;

/** Compression methods that are read. */
export const STORED = 0;
/** The method of files that are compressed by DEFLATE. */
export const DEFLATED = 8;

/** A file inside the archive. */
export interface ZipEntry {
  readonly name: string;
  /** {@link STORED} or {@link DEFLATED}. */
  readonly method: number;
  readonly crc32: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  /** Where its local header starts. */
  readonly headerStart: number;
}

/**
 * Reads the directory.
 * @throws PatchbayError `bad_input` when the file is cut short or is not a zip archive.
 */
export async function readZipDirectory(file: ByteFile): Promise<Map<string, ZipEntry>> {
  const where = { file: file.path };
  const { start, bytes, count } = await findDirectory(file);
  if (
    start + bytes > file.size ||
    bytes > MAX_DIRECTORY_BYTES ||
    count > MAX_ENTRIES ||
    count * CENTRAL_BYTES > bytes
  ) {
    throw notZip("its directory does not fit into the file", where);
  }
  const directory = viewOf(await file.read(start, bytes));
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL_BYTES > bytes || directory.getUint32(at, true) !== CENTRAL)
      throw notZip("its directory is damaged", where);
    const end =
      at + CENTRAL_BYTES + [28, 30, 32].reduce((sum, field) => sum + directory.getUint16(at + field, true), 0);
    if (end > bytes) throw notZip("its directory is damaged", where);
    const entry = centralEntry(directory, at, where);
    if (entries.has(entry.name)) throw badInput("is in the archive twice", { ...where, field: entry.name });
    checkEntry(entry, start, directory.getUint16(at + 8, true), where);
    entries.set(entry.name, entry);
    at = end;
  }
  return entries;
}

/**
 * Where an entry's compressed bytes start.
 * @throws PatchbayError `bad_input` when the local header is not where the directory says.
 */
export async function entryStart(file: ByteFile, entry: ZipEntry): Promise<number> {
  const where = { file: file.path, field: entry.name };
  const header = viewOf(await file.read(entry.headerStart, LOCAL_BYTES));
  if (header.getUint32(0, true) !== LOCAL) throw notZip("an entry is not where its directory says", where);
  const start = entry.headerStart + LOCAL_BYTES + header.getUint16(26, true) + header.getUint16(28, true);
  if (start + entry.compressedBytes > file.size) throw notZip("the entry ends behind the end of the file", where);
  return start;
}

interface DirectoryPlace {
  readonly start: number;
  readonly bytes: number;
  readonly count: number;
}

/** Finds the end record, which may be followed by a comment, and the directory it points to. */
async function findDirectory(file: ByteFile): Promise<DirectoryPlace> {
  const where = { file: file.path };
  const tailStart = Math.max(0, file.size - END_BYTES - MAX_COMMENT_BYTES);
  const tail = viewOf(await file.read(tailStart, file.size - tailStart));
  let at = tail.byteLength - END_BYTES;
  while (at >= 0 && tail.getUint32(at, true) !== END) at--;
  if (at < 0) throw notZip("it has no zip directory at its end", where);
  const count = tail.getUint16(at + 10, true);
  const bytes = tail.getUint32(at + 12, true);
  const start = tail.getUint32(at + 16, true);
  if (count !== 0xffff && bytes !== 0xffffffff && start !== 0xffffffff) return { start, bytes, count };
  const locatorAt = at - END64_LOCATOR_BYTES;
  if (locatorAt < 0 || tail.getUint32(locatorAt, true) !== END64_LOCATOR) return { start, bytes, count };
  const end64Start = safeNumber(tail.getBigUint64(locatorAt + 8, true), where);
  if (end64Start + END64_BYTES > file.size) throw notZip("its zip64 record does not fit into the file", where);
  const end64 = viewOf(await file.read(end64Start, END64_BYTES));
  if (end64.getUint32(0, true) !== END64) throw notZip("its zip64 record is damaged", where);
  return {
    count: safeNumber(end64.getBigUint64(32, true), where),
    bytes: safeNumber(end64.getBigUint64(40, true), where),
    start: safeNumber(end64.getBigUint64(48, true), where),
  };
}

function centralEntry(directory: DataView, at: number, where: ErrorDetail): ZipEntry {
  const nameBytes = directory.getUint16(at + 28, true);
  const extraStart = at + CENTRAL_BYTES + nameBytes;
  const name = new TextDecoder().decode(
    new Uint8Array(directory.buffer, directory.byteOffset + at + CENTRAL_BYTES, nameBytes),
  );
  const wide = zip64Values(directory, extraStart, directory.getUint16(at + 30, true));
  /** A 32-bit field, or the next zip64 value where it is all ones. */
  const sizeAt = (field: number): number => {
    const narrow = directory.getUint32(at + field, true);
    const value = narrow === 0xffffffff ? wide.shift() : undefined;
    return value === undefined ? narrow : safeNumber(value, where);
  };
  const bytes = sizeAt(24); // The order of the zip64 values: size, compressed size, offset.
  const compressedBytes = sizeAt(20);
  const headerStart = sizeAt(42);
  const method = directory.getUint16(at + 10, true);
  return { name, method, crc32: directory.getUint32(at + 16, true), compressedBytes, bytes, headerStart };
}

/** The 64-bit values of an entry's zip64 extra field. */
function zip64Values(directory: DataView, start: number, length: number): bigint[] {
  for (let at = start; at + 4 <= start + length; at += 4 + directory.getUint16(at + 2, true)) {
    if (directory.getUint16(at, true) !== ZIP64_FIELD) continue;
    const end = Math.min(at + 4 + directory.getUint16(at + 2, true), start + length);
    const values: bigint[] = [];
    for (let value = at + 4; value + 8 <= end; value += 8) values.push(directory.getBigUint64(value, true));
    return values;
  }
  return [];
}

function checkEntry(entry: ZipEntry, directoryStart: number, flags: number, where: ErrorDetail): void {
  const { name, method, bytes, compressedBytes, headerStart } = entry;
  const here = { ...where, field: name };
  if ((flags & 1) !== 0) throw badInput("expected an entry without encryption", here);
  if (method !== STORED && method !== DEFLATED) {
    throw badInput(`expected a stored or deflated entry, got compression method ${method}`, here);
  }
  const possible = method === STORED ? bytes === compressedBytes : bytes <= (compressedBytes + 1) * MAX_EXPANSION;
  if (!possible || headerStart + LOCAL_BYTES + compressedBytes > directoryStart) {
    throw notZip("the entry's sizes do not fit into the file", here);
  }
}

function safeNumber(value: bigint, where: ErrorDetail): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw notZip("a length is out of range", where);
  return Number(value);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function notZip(fault: string, where: ErrorDetail) {
  return badInput(`cut short or not an npz file: ${fault}; copy or download it again`, where);
}
