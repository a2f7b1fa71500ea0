/** @file A GGUF file: its header in memory, tensors read and widened in pieces. */
import { must } from "../base/assert.js";
import { badInput } from "../base/errors.js";
import { openByteFile, type ByteFile } from "./byte-file.js";
import { decodeBlocks, GGML_TYPES } from "./gguf-blocks.js";
import { HeaderIsLonger, parseGgufHeader, type GgufHeader } from "./gguf-header.js";
import { checkFinite } from "./safetensors.js";

/** First read of the header; doubled until the header fits. */
const HEADER_BYTES = 4 * 2 ** 20;
/** Far above any vocabulary; a header that claims more is not read into memory. */
const MAX_HEADER_BYTES = 2 ** 29;
/** Elements that are widened at a time; a multiple of every block. */
const PIECE_ELEMENTS = 2 ** 21;

/** An open file. Owner: whoever opened it closes it. */
export interface GgufFile extends GgufHeader {
  readonly path: string;
  /**
   * A tensor's values as float32, in order, in pieces.
   * @throws PatchbayError `non_finite` naming the tensor.
   */
  pieces(name: string): AsyncGenerator<Float32Array>;
  close(): Promise<void>;
}

/**
 * Opens a file and checks its header.
 * @throws PatchbayError `bad_input` when it is missing, cut short or of a kind that is not read.
 */
export async function openGguf(path: string): Promise<GgufFile> {
  const file = await openByteFile(path);
  try {
    const header = await readHeader(file);
    return { ...header, path, pieces: (name) => pieces(file, header, name), close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeader(file: ByteFile): Promise<GgufHeader> {
  const where = { file: file.path };
  for (let length = HEADER_BYTES; ; length *= 2) {
    const bytes = await file.read(0, Math.min(length, file.size));
    try {
      return parseGgufHeader(bytes, file.size, where);
    } catch (error) {
      if (!(error instanceof HeaderIsLonger)) throw error;
      if (length >= file.size) throw badInput("cut short: the file ends inside its header", where, error);
      if (length >= MAX_HEADER_BYTES)
        throw badInput(`expected a header of at most ${MAX_HEADER_BYTES} bytes, got a longer one`, where, error);
    }
  }
}

async function* pieces(file: ByteFile, { tensors }: GgufHeader, name: string): AsyncGenerator<Float32Array> {
  const tensor = must(tensors.get(name), `tensor ${name} of ${file.path}`);
  const type = must(GGML_TYPES.get(tensor.type), "type");
  const pieceBytes = (PIECE_ELEMENTS / type.elements) * type.bytes;
  for (let done = 0; done < tensor.bytes; done += pieceBytes) {
    const bytes = await file.read(tensor.start + done, Math.min(pieceBytes, tensor.bytes - done));
    const values = decodeBlocks(type, bytes);
    checkFinite(values, { file: file.path, field: name });
    yield values;
  }
}
