/** @file Reads byte ranges of one file, so that a large checkpoint never has to be in memory as a whole. */
import { createHash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import { badInput, PatchbayError } from "../base/errors.js";
import { unreadable } from "../base/read-file.js";

/** One read: well below the largest that Node accepts, and large enough that calls do not matter. */
const READ_BYTES = 64 * 2 ** 20;

/** An open file, read at explicit positions; reads may overlap in time. Owner: whoever opened it closes it. */
export interface ByteFile {
  readonly path: string;
  /** Length in bytes when it was opened. */
  readonly size: number;
  /**
   * Fills `target` from byte `position` on.
   * @throws PatchbayError `bad_input` when the file ends before.
   */
  readInto(target: Uint8Array, position: number): Promise<void>;
  /** The bytes of a range, in a buffer of their own. */
  read(position: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Opens a file for reading by range.
 * @throws PatchbayError `bad_input` when it cannot be opened.
 */
export async function openByteFile(path: string): Promise<ByteFile> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, "r");
    const status = await handle.stat();
    if (!status.isFile()) throw badInput("expected a file, got a folder", { file: path });
    return byteFile(path, status.size, handle);
  } catch (error) {
    await handle?.close();
    throw error instanceof PatchbayError ? error : unreadable(path, error);
  }
}

/** Runs `use` on an open file and closes it afterwards. */
export async function withByteFile<T>(path: string, use: (file: ByteFile) => Promise<T>): Promise<T> {
  const file = await openByteFile(path);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** Lower-case hex SHA-256 of a file's bytes. */
export function sha256OfFile(path: string): Promise<string> {
  return withByteFile(path, async (file) => {
    const hash = createHash("sha256");
    const buffer = new Uint8Array(Math.min(file.size, 4 * 2 ** 20));
    for (let position = 0; position < file.size; position += buffer.length) {
      const part = buffer.subarray(0, Math.min(buffer.length, file.size - position));
      await file.readInto(part, position);
      hash.update(part);
    }
    return hash.digest("hex");
  });
}

function byteFile(path: string, size: number, handle: FileHandle): ByteFile {
  const readInto = async (target: Uint8Array, position: number): Promise<void> => {
    for (let done = 0; done < target.length;) {
      const { bytesRead } = await handle.read(
        target,
        done,
        Math.min(READ_BYTES, target.length - done),
        position + done,
      );
      if (bytesRead === 0) {
        const end = String(position + target.length);
        throw badInput(`cut short: expected at least ${end} bytes, got ${position + done}`, { file: path });
      }
      done += bytesRead;
    }
  };
  return {
    path,
    size,
    readInto,
    read: async (position, length) => {
      const bytes = new Uint8Array(length);
      await readInto(bytes, position);
      return bytes;
    },
    close: () => handle.close(),
  };
}
