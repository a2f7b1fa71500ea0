/** @file Weights that the addon reads by itself: the values that JavaScript reads, and faults by name. */
import * as tf from "@tensorflow/tfjs-core";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { findSaeSource } from "../../src/sae/sae.js";
import { openCheckpoint } from "../../src/weights/checkpoint.js";
import { tensorShapes } from "../../src/families/family.js";
import { writeNpz } from "../../src/weights/npz.js";
import { findSaes, type SaeEntry } from "../../src/weights/sae-folder.js";
import { loadTorchAddon } from "../../src/backends/torch-addon.js";
import { matricesFor } from "../../src/backends/torch-matrices.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { TINY_A } from "../numeric/golden.js";
import { readSae } from "../read-sae.js";

beforeAll(() => startBackend("torch"));

describe("a matrix of a checkpoint", () => {
  it.each([
    ["model", "float32"],
    ["model-bf16", "float32"],
    ["model", "bfloat16"],
    ["model-bf16", "bfloat16"],
  ] as const)("of %s is in %s what JavaScript makes of it", async (folder, dtype) => {
    const checkpoint = await openCheckpoint(`${TINY_A}/${folder}`);
    const matrices = matricesFor(dtype);
    const wide = [...tensorShapes(checkpoint.config)].filter(([, shape]) => shape.length === 2);
    for (const [name, [rows, columns]] of wide) {
      const loaded = await matrices.load(checkpoint.array(name));
      const expected = matrices.matrix(await checkpoint.read(name), [must(rows, "rows"), must(columns, "columns")]);
      expect(loaded.shape).toEqual([rows, columns]);
      expect(loaded.dataSync()).toEqual(expected.dataSync());
      tf.dispose([loaded, expected]);
    }
    await checkpoint.close();
  });
});

describe("an SAE", () => {
  let folder = "";
  let entry: SaeEntry;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "patchbay-load-"));
    cpSync(`${TINY_A}/saes`, folder, { recursive: true });
    const checkpoint = await openCheckpoint(`${TINY_A}/model`);
    entry = must((await findSaes(folder, checkpoint.config))[0], "SAE");
    await checkpoint.close();
    const { dIn, dSae, ...arrays } = await readSae(entry);
    const shapes = { W_enc: [dIn, dSae], W_dec: [dSae, dIn], b_enc: [dSae], b_dec: [dIn], threshold: [dSae] };
    const named = Object.entries(shapes).map(
      ([name, shape]) => [name, { shape, values: arrays[name as keyof typeof arrays] }] as const,
    );
    await writeNpz(entry.path, new Map(named)); // Not compressed, as Gemma Scope's are.
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const source = () => findSaeSource(entry, matricesFor("float32"));

  it("that is not compressed is read past JavaScript, with the same values", async () => {
    const weights = await readSae(entry);
    const sae = await (await source()).load();
    expect(sae.W_enc_DF.dataSync()).toEqual(weights.W_enc);
    expect(sae.W_dec_FD.dataSync()).toEqual(weights.W_dec);
    sae.dispose();
  });

  it("with a flipped bit is refused by its checksum, and leaves no tensor", async () => {
    const sae = await source();
    const bytes = readFileSync(entry.path);
    const at = bytes.length - 4 * (entry.dSae * 3 + entry.dIn) - 2000; // Among the decoder's values.
    bytes[at] = must(bytes[at], "byte") ^ 1;
    writeFileSync(entry.path, bytes);
    const live = loadTorchAddon().liveTensors();
    await expect(sae.load()).rejects.toMatchObject({
      code: "bad_input",
      message: expect.stringMatching(/params\.npz: W_dec: .*checksum/) as string,
    });
    expect(loadTorchAddon().liveTensors()).toBe(live);
  });

  it("that is cut short after it was opened is refused", async () => {
    const sae = await source();
    writeFileSync(entry.path, readFileSync(entry.path).subarray(0, 5000));
    await expect(sae.load()).rejects.toMatchObject({
      code: "bad_input",
      message: expect.stringMatching(/W_enc: cut short/) as string,
    });
  });

  it("whose file has gone is refused", async () => {
    const sae = await source();
    rmSync(entry.path);
    await expect(sae.load()).rejects.toMatchObject({ code: "bad_input", message: expect.stringMatching(/No such file/) as string }); // prettier-ignore
  });
});
