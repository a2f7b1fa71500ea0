/** @file The safetensors format, in memory and on disk. */
import fc from "fast-check";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { halvesToFloats, type NamedArray } from "../../../src/weights/named-array.js";
import {
  decodeSafetensors,
  encodeSafetensors,
  openSafetensors,
  readSafetensorsFile,
} from "../../../src/weights/safetensors.js";
import { temporaryFolder, TINY_A } from "./temporary-folder.js";

const ARRAYS = new Map<string, NamedArray>([
  ["small", { shape: [3], values: Uint8Array.of(1, 2, 3) }],
  ["double", { shape: [2, 1], values: Float64Array.of(Math.PI, -0) }],
  ["float", { shape: [1, 3], values: Float32Array.of(1.5, NaN, -Infinity) }],
  ["long", { shape: [], values: BigInt64Array.of(-5n) }],
  ["int", { shape: [2], values: Int32Array.of(-1, 7) }],
  ["empty", { shape: [0, 4], values: new Int16Array(0) }],
]);

/** A file with the given header text and data bytes. */
function fileOf(header: unknown, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

const tensor = (shape: number[], start: number, end: number, dtype = "F32") => ({
  dtype,
  shape,
  data_offsets: [start, end],
});

describe("encoding", () => {
  test("decoding gives back every element type, shape and the metadata", () => {
    const { arrays, metadata } = decodeSafetensors(encodeSafetensors(ARRAYS, { n: "24", sign: "positive" }));
    expect(arrays).toEqual(ARRAYS);
    expect(metadata).toEqual({ n: "24", sign: "positive" });
  });

  test("the bytes do not depend on the order of arrays or metadata", () => {
    const reversed = new Map([...ARRAYS].reverse());
    expect(encodeSafetensors(reversed, { b: "2", a: "1" })).toEqual(encodeSafetensors(ARRAYS, { a: "1", b: "2" }));
  });

  test("every array starts at a multiple of its element size", () => {
    const file = encodeSafetensors(ARRAYS);
    const length = Number(new DataView(file.buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length))) as Record<
      string,
      { data_offsets: [number, number] }
    >;
    for (const [name, { values }] of ARRAYS) {
      expect((8 + length + (header[name]?.data_offsets[0] ?? NaN)) % values.BYTES_PER_ELEMENT).toBe(0);
    }
  });

  test("decoded arrays are copies", () => {
    const file = encodeSafetensors(ARRAYS);
    const { arrays } = decodeSafetensors(file);
    file.fill(0);
    expect(arrays.get("int")?.values).toEqual(Int32Array.of(-1, 7));
  });
});

test("bytes inside a larger buffer, at an odd offset, decode like bytes of their own", () => {
  const file = fileOf({ h: tensor([2], 0, 4, "BF16"), f: tensor([1], 4, 8) }, 8);
  file.set([0x80, 0x3f, 0x00, 0xc0, 0x00, 0x00, 0xc0, 0x3f], file.length - 8);
  const inside = Buffer.concat([Buffer.of(9), file, Buffer.of(9)]).subarray(1, 1 + file.length);
  for (const bytes of [file, inside]) {
    const { arrays } = decodeSafetensors(bytes);
    expect(arrays.get("h")?.values).toEqual(Float32Array.of(1, -2));
    expect(arrays.get("f")?.values).toEqual(Float32Array.of(1.5));
  }
});

describe("16-bit floats", () => {
  const all = Uint16Array.from({ length: 0x10000 }, (_, bits) => bits);

  test("every binary16 widens to its exact value", () => {
    const expected = Array.from(all, (bits) => {
      const sign = bits >> 15 === 1 ? -1 : 1;
      const exponent = (bits >> 10) & 0x1f;
      const fraction = bits & 0x3ff;
      if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
      return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
    });
    expect(Array.from(halvesToFloats(new Uint8Array(all.buffer), "F16"))).toEqual(expected);
  });

  test("a bfloat16 is the upper half of a float32", () => {
    const bits = new Uint32Array(halvesToFloats(new Uint8Array(all.buffer), "BF16").buffer);
    expect(bits).toEqual(Uint32Array.from(all, (half) => half * 0x10000));
  });
});

describe("files", () => {
  test("a file written by the reference library reads as its header says", async () => {
    const { arrays } = await readSafetensorsFile(`${TINY_A}/expected/truth-errors.safetensors`);
    const effects = arrays.get("blocks.0.attn.hook_z.hook_sae_error.effect");
    expect(effects?.shape).toEqual([24, 7]);
    expect(effects?.values).toBeInstanceOf(Float64Array);
  });

  test("rows read by range equal the same rows of the whole tensor, in F32 and in BF16", async () => {
    for (const folder of ["model", "model-bf16"]) {
      const file = await openSafetensors(`${TINY_A}/${folder}/model.safetensors`);
      const all = await file.readFloats("model.embed_tokens.weight");
      expect(await file.readFloatRows("model.embed_tokens.weight", 11, 3)).toEqual(all.slice(11 * 48, 14 * 48));
      await file.close();
    }
  });

  test("weights that are not floats are refused by name", async () => {
    const path = join(temporaryFolder(), "x.safetensors");
    writeFileSync(path, encodeSafetensors(ARRAYS));
    const file = await openSafetensors(path);
    await expect(file.readFloats("int")).rejects.toThrow(`${path}: int: expected dtype F32, BF16 or F16, got I32`);
    await file.close();
  });

  test("a NaN in the weights is a non_finite error that names file, tensor and element", async () => {
    const path = join(temporaryFolder(), "x.safetensors");
    writeFileSync(path, encodeSafetensors(ARRAYS));
    const file = await openSafetensors(path);
    await expect(file.readFloats("float")).rejects.toMatchObject({
      code: "non_finite",
      message: `${path}: float: expected finite weights, got NaN at element 1; the file is damaged`,
    });
    await file.close();
  });

  test("a missing file is a located error", async () => {
    await expect(openSafetensors("nowhere.safetensors")).rejects.toThrow("nowhere.safetensors: no such file or folder");
  });
});

describe("damaged headers", () => {
  test.each([
    ["three bytes", Uint8Array.of(1, 2, 3), "expected a safetensors file, got 3 bytes"],
    ["a pickle", new Uint8Array(64).fill(0x80), "expected a safetensors header of at most 100000000 bytes"],
    ["a header cut short", fileOf({}, 0).subarray(0, 9), "cut short: the header ends at byte 10, the file has 9"],
    ["a header that is not JSON", fileOf("{oops", 0), "not valid JSON"],
    ["a header that is a list", fileOf("[]", 0), "expected record, got array"],
    ["data cut short", fileOf({ w: tensor([4], 0, 16) }, 15), "cut short: its header promises"],
    ["bytes behind the data", fileOf({ w: tensor([4], 0, 16) }, 17), "there are bytes behind the last tensor"],
    ["a length that is not the shape's", fileOf({ w: tensor([4], 0, 12) }, 12), "w: expected 16 bytes for F32 [4]"],
    ["a negative length", fileOf({ w: tensor([4], 16, 0) }, 16), "w: expected 16 bytes for F32 [4]"],
    ["an unknown dtype", fileOf({ w: tensor([4], 0, 4, "F8_E4M3") }, 4), "w.dtype: Invalid option"],
    ["a negative offset", fileOf({ w: tensor([4], -16, 0) }, 0), "w.data_offsets.0: Too small"],
    [
      "a shape that is too large",
      fileOf({ w: tensor([2 ** 40, 2 ** 40], 0, 16) }, 16),
      "w: shape: [1099511627776, 1099511627776] is out of range",
    ],
    [
      "overlapping tensors",
      fileOf({ a: tensor([4], 0, 16), b: tensor([4], 8, 24) }, 24),
      "b: data_offsets: overlaps the tensor before it: expected start 16, got 8",
    ],
    [
      "a gap between tensors",
      fileOf({ a: tensor([4], 0, 16), b: tensor([4], 20, 36) }, 36),
      "b: data_offsets: leaves a gap behind the tensor before it: expected start 16, got 20",
    ],
    ["metadata that is not text", fileOf({ __metadata__: { n: 3 } }, 0), "__metadata__.n: expected string, got number"],
  ])("%s: says what is wrong", (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes)).toThrow(message);
    expect(() => decodeSafetensors(bytes)).toThrow(PatchbayError);
  });

  const golden = readFileSync(`${TINY_A}/saes-saelens/layer_0_attn_z/sae_weights.safetensors`);

  test("no truncation decodes", () => {
    fc.assert(
      fc.property(fc.nat(golden.length - 1), (length) => {
        expect(() => decodeSafetensors(golden.subarray(0, length))).toThrow(PatchbayError);
      }),
      { numRuns: 300 },
    );
  });

  test("flipped bits and foreign bytes in the header decode, or fail with one of our errors", () => {
    const flips = fc.array(fc.tuple(fc.nat(500), fc.nat(255)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(flips, (changes) => {
        const bytes = Uint8Array.from(golden);
        for (const [at, value] of changes) bytes[at] = (bytes[at] ?? 0) ^ value;
        try {
          decodeSafetensors(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(PatchbayError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("arbitrary JSON headers decode, or fail with one of our errors", () => {
    const length = fc.oneof(fc.nat(64), fc.integer(), fc.maxSafeInteger());
    const anyTensor = fc.record({
      dtype: fc.constantFrom("F32", "F64", "U8", "BOOL", "F9"),
      shape: fc.array(length, { maxLength: 3 }),
      data_offsets: fc.array(length, { minLength: 2, maxLength: 2 }),
    });
    const header = fc.dictionary(fc.string(), fc.oneof(anyTensor, fc.jsonValue()), { maxKeys: 4 });
    fc.assert(
      fc.property(header, fc.nat(64), (value, dataBytes) => {
        try {
          decodeSafetensors(fileOf(value, dataBytes));
        } catch (error) {
          expect(error).toBeInstanceOf(PatchbayError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
