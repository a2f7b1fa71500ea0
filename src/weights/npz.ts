/** @file npz archives of float arrays: read one array at a time, written with equal bytes for equal arrays. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { constants, crc32, inflateRaw, inflateRawSync } from "node:zlib";
import { zipSync } from "fflate";
import { assert, must } from "../base/assert.js";
import { badInput } from "../base/errors.js";
import { writeFileAtomically } from "../base/write-file.js";
import { openByteFile, type ByteFile } from "./byte-file.js";
import type { NamedArray } from "./named-array.js";
import { encodeNpy, MAX_NPY_HEADER_BYTES, npyFloats, parseNpyHeader, type NpyHeader } from "./npy.js";
import { checkFinite } from "./safetensors.js";
import type { StoredArray } from "./stored-array.js";
import { DEFLATED, entryStart, readZipDirectory, STORED, type ZipEntry } from "./zip-directory.js";

/** An open archive. Owner: whoever opened it closes it. */
export interface NpzFile {
  readonly path: string;
  /** Array names, without `.npy`. */
  readonly names: readonly string[];
  /** Shape of an array, from its header alone; undefined where there is no such array. */
  shapeOf(name: string): Promise<readonly number[] | undefined>;
  /**
   * Reads an array as float32, row-major, whatever the file's float type and order.
   * @throws PatchbayError `bad_input` when the file is damaged, `non_finite` for a NaN or infinity.
   */
  read(name: string): Promise<Float32Array>;
  /** An array before it is read. */
  array(name: string): Promise<StoredArray>;
  close(): Promise<void>;
}

/**
 * Opens an archive and checks its directory.
 * @throws PatchbayError `bad_input` when it is missing, cut short or not an npz file.
 */
export async function openNpz(path: string): Promise<NpzFile> {
  const file = await openByteFile(path);
  try {
    const entries = await readZipDirectory(file);
    const entryOf = (name: string): ZipEntry => must(entries.get(`${name}.npy`), `${name} of ${path}`);
    return {
      path,
      names: [...entries.keys()].filter((name) => name.endsWith(".npy")).map((name) => name.slice(0, -4)),
      shapeOf: async (name) => {
        const entry = entries.get(`${name}.npy`);
        return entry === undefined ? undefined : (await readHeader(file, entry)).shape;
      },
      read: (name) => readFloats(file, entryOf(name)),
      array: (name) => storedArray(file, entryOf(name), name),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Writes float32 arrays in C order. The same arrays give the same bytes: names in the order given, a fixed date, and, where
 * compressed, a deflate that does not depend on the machine.
 */
export async function writeNpz(
  path: string,
  arrays: ReadonlyMap<string, NamedArray>,
  options: { compress?: boolean } = {},
): Promise<void> {
  const files: Record<string, Uint8Array> = {};
  for (const [name, { shape, values }] of arrays) {
    assert(values instanceof Float32Array, `${name} is float32`);
    files[`${name}.npy`] = encodeNpy(shape, values);
  }
  // Zip stores local time, so a local date gives the same fields in every time zone.
  const archive = zipSync(files, { level: options.compress === true ? 6 : 0, mtime: new Date(1980, 0, 1) });
  await mkdir(dirname(path), { recursive: true });
  writeFileAtomically(path, archive);
}

async function storedArray(file: ByteFile, entry: ZipEntry, name: string): Promise<StoredArray> {
  const { shape, descr, fortranOrder, dataStart } = await readHeader(file, entry);
  const plain = entry.method === STORED && descr === "<f4" && !fortranOrder;
  const start = await entryStart(file, entry);
  const checksum = { start, crc32: entry.crc32 };
  const place = plain ? { path: file.path, dtype: "F32" as const, start: start + dataStart, checksum } : null;
  return { name, shape, place, read: () => readFloats(file, entry) };
}

/** Reads no more of an entry than its header needs. */
async function readHeader(file: ByteFile, entry: ZipEntry): Promise<NpyHeader> {
  const start = await entryStart(file, entry);
  const head = await file.read(start, Math.min(entry.compressedBytes, MAX_NPY_HEADER_BYTES));
  const where = { file: file.path, field: entry.name };
  try {
    const bytes = entry.method === DEFLATED ? inflateRawSync(head, { finishFlush: constants.Z_SYNC_FLUSH }) : head;
    return parseNpyHeader(bytes, entry.bytes, where);
  } catch (error) {
    throw inflateFault(error, where);
  }
}

async function readFloats(file: ByteFile, entry: ZipEntry): Promise<Float32Array> {
  const where = { file: file.path, field: entry.name };
  const stored = await file.read(await entryStart(file, entry), entry.compressedBytes);
  const npy = entry.method === DEFLATED ? await inflate(stored, entry, where) : stored;
  if (npy.length !== entry.bytes || crc32(npy) !== entry.crc32) {
    throw badInput("damaged: its checksum differs from the archive's; copy or download it again", where);
  }
  const header = parseNpyHeader(npy.subarray(0, MAX_NPY_HEADER_BYTES), npy.length, where);
  const floats = npyFloats(header, npy.subarray(header.dataStart), where);
  checkFinite(floats, where);
  return floats;
}

async function inflate(
  bytes: Uint8Array,
  entry: ZipEntry,
  where: { file: string; field: string },
): Promise<Uint8Array> {
  try {
    // One byte more than promised, so that a longer stream shows as a wrong length.
    return await promisify(inflateRaw)(bytes, { maxOutputLength: entry.bytes + 1 });
  } catch (error) {
    throw inflateFault(error, where);
  }
}

/** A fault that zlib reports, as a bad-input error; ours pass through. */
function inflateFault(error: unknown, where: { file: string; field: string }): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (!code.startsWith("Z_") && code !== "ERR_BUFFER_TOO_LARGE") return error;
  return badInput(`damaged: ${(error as Error).message}; copy or download it again`, where, error);
}
