/**
 * @file Quantised blocks of a GGUF file to float32, with ggml's own order of float32 operations.
 *
 * Source: ggml (github.com/ggml-org/ggml), src/ggml-quants.c, `dequantize_row_*`; layouts in src/ggml-common.h.
 */
import { halvesToFloats } from "./named-array.js";

/** How one element type is stored: `elements` values in `bytes` bytes. */
interface BlockType {
  readonly name: string;
  readonly elements: number;
  readonly bytes: number;
  /** Writes one block's values from `to` on. */
  decode(block: DataView, out: Float32Array, to: number): void;
}

const round = Math.fround;

/** A little-endian binary16. */
const halfAt = (block: DataView, at: number): number =>
  halvesToFloats(new Uint8Array(block.buffer, block.byteOffset + at, 2), "F16")[0] as number;

/** 32 values: `d q`, with a scale and signed bytes. */
function decodeQ8_0(block: DataView, out: Float32Array, to: number): void {
  const d = halfAt(block, 0);
  for (let i = 0; i < 32; i++) out[to + i] = d * block.getInt8(2 + i);
}

/** 32 values: `d (q - 16)`; four bits of a `q` in a nibble, the fifth in a word of its own. */
function decodeQ5_0(block: DataView, out: Float32Array, to: number): void {
  const d = halfAt(block, 0);
  const high = block.getUint32(2, true);
  for (let i = 0; i < 16; i++) {
    const nibbles = block.getUint8(6 + i);
    out[to + i] = d * (((nibbles & 15) | (((high >>> i) & 1) << 4)) - 16);
    out[to + i + 16] = d * (((nibbles >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16);
  }
}

/** The 6-bit scale and minimum of sub-block `j` of 8, packed into 12 bytes from `at` on. */
function scaleAndMinimum(block: DataView, at: number, j: number): readonly [scale: number, minimum: number] {
  const byte = (i: number): number => block.getUint8(at + i);
  if (j < 4) return [byte(j) & 63, byte(j + 4) & 63];
  return [(byte(j + 4) & 15) | ((byte(j - 4) >> 6) << 4), (byte(j + 4) >> 4) | ((byte(j) >> 6) << 4)];
}

/** 256 values in 8 sub-blocks of 32: `d scale q - dmin minimum`. */
function decodeQ4_K(block: DataView, out: Float32Array, to: number): void {
  const [d, dmin] = [halfAt(block, 0), halfAt(block, 2)];
  for (let j = 0; j < 8; j++) {
    const [scale, minimum] = scaleAndMinimum(block, 4, j);
    const [by, less] = [round(d * scale), round(dmin * minimum)];
    for (let i = 0; i < 32; i++) {
      const nibbles = block.getUint8(16 + (j >> 1) * 32 + i);
      out[to + j * 32 + i] = round(by * (j % 2 === 0 ? nibbles & 15 : nibbles >> 4)) - less;
    }
  }
}

/** 256 values in 16 sub-blocks of 16: `d scale (q - 32)`; four bits of a `q` in a nibble, two in a byte of their own. */
function decodeQ6_K(block: DataView, out: Float32Array, to: number): void {
  const d = halfAt(block, 208);
  for (let half = 0; half < 2; half++)
    for (let part = 0; part < 4; part++)
      for (let i = 0; i < 32; i++) {
        const low = block.getUint8(half * 64 + (part % 2) * 32 + i);
        const nibble = part < 2 ? low & 15 : low >> 4;
        const high = (block.getUint8(128 + half * 32 + i) >> (2 * part)) & 3;
        const scale = block.getInt8(192 + half * 8 + part * 2 + (i >> 4));
        out[to + half * 128 + part * 32 + i] = round(d * scale) * ((nibble | (high << 4)) - 32);
      }
}

const halfType = (name: "F16" | "BF16"): BlockType => ({
  name,
  elements: 1,
  bytes: 2,
  decode: (block, out, to) => {
    out[to] = halvesToFloats(new Uint8Array(block.buffer, block.byteOffset, 2), name)[0] as number;
  },
});

/** Element types that are read, by ggml's number. */
export const GGML_TYPES: ReadonlyMap<number, BlockType> = new Map<number, BlockType>([
  [
    0,
    {
      name: "F32",
      elements: 1,
      bytes: 4,
      decode: (block, out, to) => {
        out[to] = block.getFloat32(0, true);
      },
    },
  ],
  [1, halfType("F16")],
  [6, { name: "Q5_0", elements: 32, bytes: 22, decode: decodeQ5_0 }],
  [8, { name: "Q8_0", elements: 32, bytes: 34, decode: decodeQ8_0 }],
  [12, { name: "Q4_K", elements: 256, bytes: 144, decode: decodeQ4_K }],
  [14, { name: "Q6_K", elements: 256, bytes: 210, decode: decodeQ6_K }],
  [30, halfType("BF16")],
]);

/** Widens whole blocks of a type to float32. */
export function decodeBlocks(type: BlockType, bytes: Uint8Array): Float32Array {
  if (type.name === "F16" || type.name === "BF16") return halvesToFloats(bytes, type.name);
  const blocks = bytes.length / type.bytes;
  const out = new Float32Array(blocks * type.elements);
  for (let b = 0; b < blocks; b++) {
    const block = new DataView(bytes.buffer, bytes.byteOffset + b * type.bytes, type.bytes);
    type.decode(block, out, b * type.elements);
  }
  return out;
}
