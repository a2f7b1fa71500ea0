/** @file GGUF files: blocks, headers, damage, and conversion to a checkpoint folder. */
import fc from "fast-check";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { PatchbayError } from "../../../src/base/errors.js";
import { ropeOf, tensorShapes } from "../../../src/families/family.js";
import { GEMMA3 } from "../../../src/families/gemma3.js";
import { openTokenizer } from "../../../src/prompts/tokenizer.js";
import { openCheckpoint } from "../../../src/weights/checkpoint.js";
import { decodeBlocks, GGML_TYPES } from "../../../src/weights/gguf-blocks.js";
import { convertGguf } from "../../../src/weights/gguf-checkpoint.js";
import { openGguf, type GgufFile } from "../../../src/weights/gguf-file.js";
import { floatTensor, ggufBytes, type WrittenTensor } from "./gguf-writer.js";
import { tinyGguf } from "./tiny-gguf.js";
import { temporaryFolder } from "./temporary-folder.js";

const FIXTURES = fileURLToPath(new URL("../../fixtures", import.meta.url));

/** Random blocks, and what the `gguf` Python package makes of them. */
const BLOCKS = JSON.parse(readFileSync(`${FIXTURES}/gguf/blocks.json`, "utf8")) as Record<
  string,
  { type: number; blocks: string; values: string }
>;
const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));
const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.buffer);

async function opened(bytes: Uint8Array): Promise<GgufFile> {
  const path = join(temporaryFolder(), "model.gguf");
  writeFileSync(path, bytes);
  const file = await openGguf(path);
  onTestFinished(() => file.close());
  return file;
}

async function valuesOf(file: GgufFile, name: string): Promise<number[]> {
  const values: number[] = [];
  for await (const piece of file.pieces(name)) values.push(...piece);
  return values;
}

describe("blocks", () => {
  test.each(Object.entries(BLOCKS))("%s decode to the same bits as the format's Python package", (_name, one) => {
    const values = decodeBlocks(must(GGML_TYPES.get(one.type), "type"), fromBase64(one.blocks));
    expect(values).toEqual(floatsOf(fromBase64(one.values)));
  });

  test("half and single precision decode", () => {
    const type = (number: number) => must(GGML_TYPES.get(number), "type");
    expect([...decodeBlocks(type(0), new Uint8Array(Float32Array.of(1.5, -3).buffer))]).toEqual([1.5, -3]);
    expect([...decodeBlocks(type(1), Uint8Array.of(0x00, 0x3c, 0x00, 0xc0))]).toEqual([1, -2]);
    expect([...decodeBlocks(type(30), Uint8Array.of(0x80, 0x3f, 0x00, 0xc0))]).toEqual([1, -2]);
  });
});

describe("a file", () => {
  test("gives metadata and tensors, in row-major shapes", async () => {
    const q = must(BLOCKS["Q5_0"], "blocks");
    const file = await opened(
      ggufBytes(
        { a: "x", list: ["p", "q"], n: 7, f: { float: 0.5 } },
        new Map([
          ["m", floatTensor([2, 3], Float32Array.of(1, 2, 3, 4, 5, 6))],
          ["q", { shape: [3, 32], type: q.type, bytes: fromBase64(q.blocks) }],
        ]),
      ),
    );
    expect([...file.metadata]).toEqual([
      ["a", "x"],
      ["list", ["p", "q"]],
      ["n", 7],
      ["f", 0.5],
    ]);
    expect(file.tensors.get("m")?.shape).toEqual([2, 3]);
    expect(await valuesOf(file, "m")).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await valuesOf(file, "q")).toEqual([...floatsOf(fromBase64(q.values))]);
  });

  test("may have a header of many megabytes", async () => {
    const long = Array.from({ length: 40_000 }, (_, i) => `${String(i)}${"x".repeat(200)}`);
    const file = await opened(ggufBytes({ long }, new Map([["m", floatTensor([1], Float32Array.of(9))]])));
    expect(file.metadata.get("long")).toEqual(long);
    expect(await valuesOf(file, "m")).toEqual([9]);
  });

  const twoTensors = new Map(
    ["first_", "second"].map((name) => [name, floatTensor([4], Float32Array.of(1, 2, 3, 4))] as const),
  );
  const renamed = (bytes: Uint8Array, from: string, to: string): Uint8Array =>
    Buffer.from(Buffer.from(bytes).toString("latin1").replace(from, to), "latin1");
  const whole = ggufBytes({ a: "x", n: 3 }, new Map([["m", floatTensor([4], Float32Array.of(1, 2, 3, 4))]]));

  test.each([
    ["another kind of file", Uint8Array.from(Buffer.from("PK\u0003\u0004 something else")), "expected a GGUF file"],
    ["an old version", whole.map((byte, at) => (at === 4 ? 1 : byte)), "expected GGUF version 2 or 3, got 1"],
    ["a header cut short", whole.subarray(0, 40), "cut short: the file ends inside its header"],
    ["a tensor cut short", whole.subarray(0, whole.length - 32), "m: cut short: the tensor ends at byte"],
    [
      "an element type that is not read",
      ggufBytes({}, new Map([["m", { shape: [32], type: 2, bytes: new Uint8Array(18) }]])),
      "m: expected an element type of F32, F16, Q5_0, Q8_0, Q4_K, Q6_K, BF16, got ggml type 2",
    ],
    [
      "rows of half a block",
      ggufBytes({}, new Map([["m", { shape: [2, 16], type: 8, bytes: new Uint8Array(34) }]])),
      "m: expected rows of whole blocks of 32, got 2 x 16",
    ],
    ["a tensor twice", renamed(ggufBytes({}, twoTensors), "second", "first_"), "first_: is in the file twice"],
    [
      "a metadata key twice",
      renamed(ggufBytes({ first_: 1, second: 2 }, new Map()), "second", "first_"),
      "first_: is in the metadata twice",
    ],
    [
      "tensors beside their alignment",
      ggufBytes({ "general.alignment": 7 }, twoTensors),
      "second: expected an offset that 7 divides, got 32",
    ],
    ...[Infinity, 1.5].map((float): [string, Uint8Array, string] => [
      `an alignment of ${String(float)}`,
      ggufBytes({ "general.alignment": { float } }, twoTensors),
      "general.alignment: expected a whole number of 1 or more",
    ]),
  ])("is refused where it is %s", async (_what, bytes, message) => {
    await expect(opened(bytes)).rejects.toThrow(message);
  });

  test("with flipped bytes opens, or fails with one of our errors", async () => {
    const path = join(temporaryFolder(), "model.gguf");
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        writeFileSync(
          path,
          whole.map((byte, i) => (i === at ? byte ^ flip : byte)),
        );
        const failure: unknown = await openGguf(path).then(
          async (file) => {
            await file.close();
            return null;
          },
          (error: unknown) => error,
        );
        if (failure !== null) expect(failure).toBeInstanceOf(PatchbayError);
      }),
      { numRuns: 200 },
    );
  });
});

describe("conversion", () => {
  test("gives a checkpoint with the same weights and options, and the tokenizer", async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "m.gguf"), await tinyGguf());
    await convertGguf(join(folder, "m.gguf"), join(folder, "made"));
    const [made, original] = [
      await openCheckpoint(join(folder, "made")),
      await openCheckpoint(`${FIXTURES}/tiny-gemma3`),
    ];
    const layerTypes = ["sliding", "sliding", "sliding", "sliding"];
    const ropes = { full: ropeOf(original.config, "full"), sliding: { theta: 10_000, factor: 1 } };
    const positions = { kind: "rope_by_layer_type", ropes };
    expect(made.config).toEqual({ ...original.config, layerTypes, positions, queryPreAttnScalar: 16 });
    for (const [name, shape] of tensorShapes(made.config)) {
      const expected = await original.read(name);
      const stored = shape.length === 1 ? expected.map((w) => Math.fround(w + 1) - 1) : expected;
      expect(await made.read(name), name).toEqual(stored);
    }
    await Promise.all([made.close(), original.close()]);
    expect(openTokenizer(join(folder, "made"), GEMMA3.bos).encode("ab abcd\n\nabc")).toEqual([2, 16, 20, 4, 16, 8]);
    await convertGguf(join(folder, "absent.gguf"), join(folder, "made")); // A folder that is there is whole.
  });

  test.each([
    [
      "lacks a tensor",
      (tensors: Map<string, WrittenTensor>) => tensors.delete("blk.3.ffn_up.weight"),
      "blk.3.ffn_up.weight: expected shape [48, 40], got no such tensor",
    ],
    [
      "holds a NaN",
      (tensors: Map<string, WrittenTensor>) =>
        tensors.set("blk.3.ffn_norm.weight", floatTensor([40], new Float32Array(40).fill(NaN))),
      "blk.3.ffn_norm.weight: expected finite weights",
    ],
  ])("of a file that %s fails, and leaves nothing", async (_what, edit, message) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "m.gguf"), await tinyGguf(edit));
    await expect(convertGguf(join(folder, "m.gguf"), join(folder, "made"))).rejects.toThrow(message);
    expect(readdirSync(folder)).toEqual(["m.gguf"]);
    expect(existsSync(join(folder, "made"))).toBe(false);
  });

  test("of a file that claims billions of layers is refused before they are set up", async () => {
    const bytes = Buffer.from(await tinyGguf());
    const key = "gemma3.block_count";
    bytes.writeUInt32LE(0xffffffff, bytes.indexOf(key) + key.length + 4);
    const path = join(temporaryFolder(), "m.gguf");
    writeFileSync(path, bytes);
    await expect(convertGguf(path, `${path}.made`)).rejects.toThrow("gemma3.block_count: Too big");
  });

  test("of another architecture is refused", async () => {
    const path = join(temporaryFolder(), "m.gguf");
    writeFileSync(path, ggufBytes({ "general.architecture": "llama" }, new Map()));
    await expect(convertGguf(path, `${path}.made`)).rejects.toThrow('general.architecture: expected "gemma3"');
  });
});
