/** @file A miniature of the world's build: every file is written, twice the same, and the checks notice a change. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { buildWorld, WORLD_FOLDERS } from "../../../tools/tiny-world/build-world.js";
import { changedFiles, CHECKSUMS, hashFiles, readChecksums } from "../../../tools/tiny-world/checksums.js";
import { WORLD, type WorldSettings } from "../../../tools/tiny-world/world-settings.js";
import { readModelConfig } from "../../../src/families/read-config.js";
import { findSaes } from "../../../src/weights/sae-folder.js";
import { startBackend } from "../../../src/backends/start-backend.js";

const MINIATURE: WorldSettings = {
  ...WORLD,
  pairs: { train: 8, test: 8 },
  model: { ...WORLD.model, steps: 3, batch: 8, warmUpSteps: 1 },
  saeSentences: { train: 40, figures: 10 },
  sae: { ...WORLD.sae, dSae: 32, steps: 3, batch: 32, warmUpSteps: 1 },
};

const folders = [0, 1].map(() => mkdtempSync(join(tmpdir(), "patchbay-world-")));
const [one = "", two = ""] = folders;
const lines: string[] = [];

beforeAll(async () => {
  await startBackend("wasm");
  for (const folder of folders) await buildWorld(folder, MINIATURE, (line) => lines.push(line));
});
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

const hashes = (folder: string): Map<string, string> => hashFiles(folder, Object.values(WORLD_FOLDERS));

describe("a build of the world", () => {
  it("writes the same bytes twice, card and checksums included", () => {
    expect(hashes(two)).toEqual(hashes(one));
    for (const name of [CHECKSUMS, "README.md"])
      expect(readFileSync(join(two, name))).toEqual(readFileSync(join(one, name)));
  });

  it("writes pairs, checkpoint, tokenizer and an SAE for each of the 12 sites", async () => {
    const paths = [...hashes(one).keys()];
    expect(paths.filter((path) => path.startsWith("agreement/"))).toHaveLength(8);
    for (const name of ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
      expect(paths).toContain(`tiny-gemma2/${name}`);
    const model = join(one, WORLD_FOLDERS.model);
    expect(await findSaes(join(model, "saes"), readModelConfig(model))).toHaveLength(12);
  });

  it("writes soft-caps as floats, the only way transformers takes them", () => {
    const config = readFileSync(join(one, "tiny-gemma2", "config.json"), "utf8");
    expect(config).toMatch(/"attn_logit_softcapping": 8\.0,/);
    expect(config).toMatch(/"final_logit_softcapping": 15\.0,/);
  });

  it("reports its progress", () => {
    expect(lines.some((line) => line.startsWith("model: step"))).toBe(true);
    expect(lines.some((line) => line.startsWith("sae blocks.3.hook_resid_post"))).toBe(true);
  });

  it("names every hash in the card", () => {
    const card = readFileSync(join(one, "README.md"), "utf8");
    for (const [path, hash] of readChecksums(one)) expect(card).toContain(`${hash}  ${path}`);
  });
});

describe("the checksums", () => {
  it("notice a changed, a missing and an extra file", () => {
    const expected = readChecksums(two);
    expect(changedFiles(expected, hashes(two))).toEqual([]);
    appendFileSync(join(two, "agreement", "rc.test.jsonl"), "\n");
    rmSync(join(two, "tiny-gemma2", "config.json"));
    writeFileSync(join(two, "tiny-gemma2", "extra.txt"), "x");
    const changed = ["agreement/rc.test.jsonl", "tiny-gemma2/config.json", "tiny-gemma2/extra.txt"];
    expect(changedFiles(expected, hashes(two))).toEqual(changed);
  });

  it("are refused with file and line where a line is malformed", () => {
    writeFileSync(join(two, CHECKSUMS), `${"0".repeat(64)}  a\nnot a line\n`);
    expect(() => readChecksums(two)).toThrow(PatchbayError);
    expect(() => readChecksums(two)).toThrow(/CHECKSUMS:2: expected/);
    expect(existsSync(join(two, CHECKSUMS))).toBe(true);
  });
});
