/** @file npz archives: formats that numpy writes, and damage. */
import fc from "fast-check";
import { zipSync } from "fflate";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import type { NamedArray } from "../../../src/weights/named-array.js";
import { encodeNpy, parseNpyHeader, transpose } from "../../../src/weights/npy.js";
import { openNpz, writeNpz } from "../../../src/weights/npz.js";
import { temporaryFolder, TINY_A } from "./temporary-folder.js";

const GOLDEN = `${TINY_A}/saes/att/layer_0/width_128/average_l0_18/params.npz`;
const ARRAYS = new Map<string, NamedArray>([
  ["W", { shape: [3, 50], values: Float32Array.from({ length: 150 }, (_, at) => at / 7) }],
  ["b", { shape: [2], values: Float32Array.of(-0, 1e-40) }],
  ["scalar", { shape: [], values: Float32Array.of(3) }],
]);

/** An npy with any header text, as numpy pads it. */
function npy(dict: string, data: Uint8Array, version = 1): Uint8Array {
  const prefix = version === 1 ? 10 : 12;
  const text = dict.padEnd(Math.ceil((prefix + dict.length + 1) / 64) * 64 - prefix - 1) + "\n";
  const bytes = new Uint8Array(prefix + text.length + data.length);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), version, 0]);
  const view = new DataView(bytes.buffer);
  if (version === 1) view.setUint16(8, text.length, true);
  else view.setUint32(8, text.length, true);
  bytes.set(new TextEncoder().encode(text), prefix);
  bytes.set(data, prefix + text.length);
  return bytes;
}

const dict = (descr: string, fortran: string, shape: string): string =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;
const bytesOf = (values: Float32Array | Float64Array | Uint16Array): Uint8Array => new Uint8Array(values.buffer);

/** Writes an archive with one array `a`, and reads that. */
async function readOne(array: Uint8Array, level: 0 | 6 = 0): Promise<{ shape: unknown; values: Float32Array }> {
  const path = join(temporaryFolder(), "x.npz");
  writeFileSync(path, zipSync({ "a.npy": array }, { level }));
  const file = await openNpz(path);
  try {
    return { shape: await file.shapeOf("a"), values: await file.read("a") };
  } finally {
    await file.close();
  }
}

/** Opens an archive and reads all of it. */
async function readAll(path: string): Promise<Map<string, NamedArray>> {
  const file = await openNpz(path);
  try {
    const arrays = new Map<string, NamedArray>();
    for (const name of file.names) {
      arrays.set(name, { shape: (await file.shapeOf(name)) ?? [], values: await file.read(name) });
    }
    return arrays;
  } finally {
    await file.close();
  }
}

describe("reading", () => {
  test.each([
    ["float32, C order", npy(dict("<f4", "False", "(2, 3)"), bytesOf(Float32Array.of(0, 1, 2, 3, 4, 5)))],
    ["float32, Fortran order", npy(dict("<f4", "True", "(2, 3)"), bytesOf(Float32Array.of(0, 3, 1, 4, 2, 5)))],
    ["float64, Fortran order", npy(dict("<f8", "True", "(2, 3)"), bytesOf(Float64Array.of(0, 3, 1, 4, 2, 5)))],
    [
      "float16",
      npy(dict("<f2", "False", "(2, 3)"), bytesOf(Uint16Array.of(0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500))),
    ],
    ["format version 2", npy(dict("<f4", "False", "(2, 3)"), bytesOf(Float32Array.of(0, 1, 2, 3, 4, 5)), 2)],
  ])("%s gives row-major float32, stored and deflated", async (_, array) => {
    const expected = { shape: [2, 3], values: Float32Array.of(0, 1, 2, 3, 4, 5) };
    expect(await readOne(array, 0)).toEqual(expected);
    expect(await readOne(array, 6)).toEqual(expected);
  });

  test("a matrix transposed twice is itself, whatever its size", () => {
    const sizes = fc.tuple(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 70 }));
    fc.assert(
      fc.property(sizes, ([rows, columns]) => {
        const matrix = Float32Array.from({ length: rows * columns }, (_, at) => at);
        const transposed = transpose(matrix, rows, columns);
        expect(transposed[(columns - 1) * rows]).toBe(matrix[columns - 1]);
        expect(transpose(transposed, columns, rows)).toEqual(matrix);
      }),
      { numRuns: 50 },
    );
  });

  test("an archive with zip64 sizes reads like a plain one", async () => {
    const path = join(temporaryFolder(), "x.npz");
    writeFileSync(path, zip64Archive("b.npy", encodeNpy([2], Float32Array.of(5, 6))));
    expect(await readAll(path)).toEqual(new Map([["b", { shape: [2], values: Float32Array.of(5, 6) }]]));
  });
});

describe("writing", () => {
  test.each([false, true])("written arrays read back equal (compressed: %s)", async (compress) => {
    const path = join(temporaryFolder(), "deep", "x.npz");
    await writeNpz(path, ARRAYS, { compress });
    expect(await readAll(path)).toEqual(ARRAYS);
  });

  test("the same arrays give the same bytes, in any time zone", async () => {
    const paths = [join(temporaryFolder(), "a.npz"), join(temporaryFolder(), "b.npz")] as const;
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    vi.stubEnv("TZ", "Pacific/Auckland");
    await writeNpz(paths[0], ARRAYS, { compress: true });
    vi.stubEnv("TZ", "America/Los_Angeles");
    await writeNpz(paths[1], ARRAYS, { compress: true });
    expect(readFileSync(paths[0])).toEqual(readFileSync(paths[1]));
  });
});

describe("refusals name the file, the array and what is wrong", () => {
  const six = bytesOf(new Float32Array(6));
  test.each([
    ["integers", npy(dict("<i8", "False", "(6,)"), six), "a.npy: expected dtype <f4, <f8 or <f2, got <i8"],
    ["big-endian floats", npy(dict(">f4", "False", "(6,)"), six), "expected dtype <f4, <f8 or <f2, got >f4"],
    ["a shape that does not fit", npy(dict("<f4", "False", "(7,)"), six), "expected 156 bytes for <f4 [7], got 152"],
    ["a pickle", new Uint8Array(80), "a.npy: expected an array in npy format, got other bytes"],
    ["another header", npy("{'x': 1}", six), "expected an npy header with descr, fortran_order and shape"],
    ["three axes in Fortran order", npy(dict("<f4", "True", "(1, 2, 3)"), six), "expected C order or at most two axes"],
    [
      "a NaN",
      npy(dict("<f4", "False", "(1,)"), bytesOf(Float32Array.of(NaN))),
      "a.npy: expected finite weights, got NaN",
    ],
  ])("%s", async (_, array, message) => {
    await expect(readOne(array)).rejects.toThrow(message);
  });

  test("another kind of file, and an empty one", async () => {
    const path = join(temporaryFolder(), "x.npz");
    for (const bytes of [new Uint8Array(0), new Uint8Array(1000)]) {
      writeFileSync(path, bytes);
      await expect(openNpz(path)).rejects.toThrow(
        `${path}: cut short or not an npz file: it has no zip directory at its end; copy or download it again`,
      );
    }
  });

  test("a changed byte in the values shows in the checksum", async () => {
    const path = join(temporaryFolder(), "x.npz");
    const bytes = readFileSync(GOLDEN);
    bytes[5000] = (bytes[5000] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    await expect(readAll(path)).rejects.toThrow(`${path}: W_enc.npy: damaged: its checksum differs from the archive's`);
  });

  test("a deflate stream that expands beyond its promise is stopped", async () => {
    const path = join(temporaryFolder(), "x.npz");
    const archive = zipSync({ "a.npy": encodeNpy([100_000], new Float32Array(100_000)) }, { level: 6 });
    const view = new DataView(archive.buffer, archive.byteOffset);
    const central = view.getUint32(archive.length - 6, true);
    view.setUint32(central + 24, 528, true); // The uncompressed size of 100 values.
    writeFileSync(path, archive);
    await expect(readAll(path)).rejects.toThrow(PatchbayError);
  });
});

describe("random damage", () => {
  const small = (): Promise<Uint8Array[]> =>
    Promise.all(
      [false, true].map(async (compress) => {
        const path = join(temporaryFolder(), "x.npz");
        await writeNpz(path, ARRAYS, { compress });
        return Uint8Array.from(readFileSync(path));
      }),
    );

  test("no truncation reads", async () => {
    const path = join(temporaryFolder(), "x.npz");
    for (const archive of await small()) {
      await fc.assert(
        fc.asyncProperty(fc.nat(archive.length - 1), async (length) => {
          writeFileSync(path, archive.subarray(0, length));
          await expect(readAll(path)).rejects.toThrow(PatchbayError);
        }),
        { numRuns: 100 },
      );
    }
  });

  test("flipped bits give the same arrays or one of our errors, never another array", async () => {
    const path = join(temporaryFolder(), "x.npz");
    for (const archive of await small()) {
      const flips = fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
      await fc.assert(
        fc.asyncProperty(flips, async (changes) => {
          const bytes = Uint8Array.from(archive);
          for (const [at, value] of changes) bytes[at] = (bytes[at] ?? 0) ^ value;
          writeFileSync(path, bytes);
          await readAll(path).then(
            (arrays) => {
              for (const { values } of arrays.values()) {
                expect([...ARRAYS.values()].map((array) => array.values)).toContainEqual(values);
              }
            },
            (error: unknown) => {
              expect(error).toBeInstanceOf(PatchbayError);
            },
          );
        }),
        { numRuns: 400 },
      );
    }
  });

  test("any bytes as npy header parse, or fail with one of our errors", () => {
    const prefix = Uint8Array.of(0x93, ...new TextEncoder().encode("NUMPY"), 1, 0);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), fc.nat(100), (tail, magic, npyBytes) => {
        try {
          parseNpyHeader(magic ? Uint8Array.of(...prefix, ...tail) : tail, npyBytes, {});
        } catch (error) {
          expect(error).toBeInstanceOf(PatchbayError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

/** A stored archive of one file whose sizes, offset and directory stand in zip64 records. */
function zip64Archive(name: string, content: Uint8Array): Uint8Array {
  const [u16, u32, u64] = [2, 4, 8].map(
    (length) =>
      (value: number): number[] =>
        Array.from({ length }, (_, at) => Math.floor(value / 256 ** at) % 256),
  ) as [(value: number) => number[], (value: number) => number[], (value: number) => number[]];
  const all = 0xffffffff;
  const nameBytes = [...new TextEncoder().encode(name)];
  const size = content.length;
  const common = [...u16(45), ...u16(0), ...u16(0), ...u32(0x210000), ...u32(crc32(content)), ...u32(all), ...u32(all)];
  const localExtra = [...u16(1), ...u16(16), ...u64(size), ...u64(size)];
  const local = [...u32(0x04034b50), ...common, ...u16(nameBytes.length), ...u16(20), ...nameBytes, ...localExtra];
  const extra = [...u16(0x7777), ...u16(2), 0, 0, ...u16(1), ...u16(24), ...u64(size), ...u64(size), ...u64(0)];
  const fields = [
    ...u16(nameBytes.length),
    ...u16(extra.length),
    ...u16(0),
    ...u16(0),
    ...u16(0),
    ...u32(0),
    ...u32(all),
  ];
  const central = [...u32(0x02014b50), ...u16(45), ...common, ...fields, ...nameBytes, ...extra];
  const start = local.length + size;
  const counts = [...u64(1), ...u64(1), ...u64(central.length), ...u64(start)];
  const end64 = [...u32(0x06064b50), ...u64(44), ...u16(45), ...u16(45), ...u32(0), ...u32(0), ...counts];
  const locator = [...u32(0x07064b50), ...u32(0), ...u64(start + central.length), ...u32(1)];
  const end = [
    ...u32(0x06054b50),
    ...u16(0),
    ...u16(0),
    ...u16(0xffff),
    ...u16(0xffff),
    ...u32(all),
    ...u32(all),
    ...u16(0),
  ];
  return Uint8Array.from([...local, ...content, ...central, ...end64, ...locator, ...end]);
}
