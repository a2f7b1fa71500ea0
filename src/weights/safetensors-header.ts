/**
 * @file The header of a safetensors file, checked before any of it is believed.
 *
 * Layout: 8 bytes little-endian header length; JSON `{ name: { dtype, shape, data_offsets }, __metadata__ }`; tensor bytes
 * without gaps, offsets relative to the end of the header.
 * Source: https://github.com/huggingface/safetensors, README "Format".
 */
import { z } from "zod";
import { badInput, type ErrorDetail } from "../base/errors.js";
import { invalid, parseJson } from "../base/read-file.js";
import { DTYPE_BYTES, shapeText, sizeOf, type Dtype } from "./named-array.js";

/** Bytes of the length field in front of the header. */
export const LENGTH_BYTES = 8;
/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;

const tensorSchema = z.object({
  dtype: z.enum(Object.keys(DTYPE_BYTES) as [Dtype, ...Dtype[]]),
  shape: z.array(z.int().min(0)).max(16),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});
const headerSchema = z.record(z.string(), z.unknown());
const metadataSchema = z.record(z.string(), z.string());

/** Where a tensor's bytes lie. */
export interface TensorRange {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** First byte, from the start of the file. */
  readonly start: number;
  /** One past the last byte. */
  readonly end: number;
}

/** A checked header: ranges do not overlap, leave no gap and end where the file ends. */
export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorRange>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Length in bytes of the JSON header.
 * @param prefix The first 8 bytes of the file, or all of a shorter one.
 * @throws PatchbayError `bad_input` when it cannot be the start of a safetensors file of `fileBytes` bytes.
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, where: ErrorDetail): number {
  if (prefix.length < LENGTH_BYTES) {
    throw badInput(`expected a safetensors file, got ${fileBytes} bytes`, where);
  }
  const length = Number(new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES) {
    throw badInput(
      `expected a safetensors header of at most ${MAX_HEADER_BYTES} bytes, got ${length}; is this another kind of file?`,
      where,
    );
  }
  if (LENGTH_BYTES + length > fileBytes) {
    throw badInput(
      `cut short: the header ends at byte ${LENGTH_BYTES + length}, the file has ${fileBytes}; copy or download it again`,
      where,
    );
  }
  return length;
}

/**
 * Parses and checks the JSON header.
 * @throws PatchbayError `bad_input` naming the tensor at fault.
 */
export function parseHeader(json: Uint8Array, fileBytes: number, where: ErrorDetail): SafetensorsHeader {
  const header = parseJson(new TextDecoder().decode(json), headerSchema, where);
  const base = LENGTH_BYTES + json.length;
  const tensors = new Map<string, TensorRange>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    const here = { ...where, field: name };
    const parsed = (name === "__metadata__" ? metadataSchema : tensorSchema).safeParse(value);
    if (!parsed.success) throw invalid(parsed.error, here);
    if (name === "__metadata__") metadata = parsed.data as Record<string, string>;
    else tensors.set(name, rangeOf(parsed.data as z.infer<typeof tensorSchema>, base, here));
  }
  checkLayout(tensors, base, fileBytes, where);
  return { tensors, metadata };
}

function rangeOf(tensor: z.infer<typeof tensorSchema>, base: number, where: ErrorDetail): TensorRange {
  const { dtype, shape, data_offsets: [start, end] } = tensor; // prettier-ignore
  const expected = sizeOf(shape) * DTYPE_BYTES[dtype];
  if (Number.isNaN(expected)) throw badInput(`shape: ${shapeText(shape)} is out of range`, where);
  if (end - start !== expected) {
    throw badInput(
      `expected ${expected} bytes for ${dtype} ${shapeText(shape)}, got data_offsets ${shapeText([start, end])}`,
      where,
    );
  }
  return { dtype, shape, start: base + start, end: base + end };
}

/** Ranges, in order of their starts, must follow one another without overlap or gap up to the end of the file. */
function checkLayout(
  tensors: ReadonlyMap<string, TensorRange>,
  base: number,
  fileBytes: number,
  where: ErrorDetail,
): void {
  let end = base;
  const inOrder = [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  for (const [name, range] of inOrder) {
    if (range.start !== end) {
      const fault = range.start < end ? "overlaps the tensor before it" : "leaves a gap behind the tensor before it";
      throw badInput(`data_offsets: ${fault}: expected start ${end - base}, got ${range.start - base}`, {
        ...where,
        field: name,
      });
    }
    end = range.end;
  }
  if (end === fileBytes) return;
  throw badInput(
    end > fileBytes
      ? `cut short: its header promises ${end} bytes, the file has ${fileBytes}; copy or download it again`
      : `expected ${end} bytes, got ${fileBytes}: there are bytes behind the last tensor`,
    where,
  );
}
