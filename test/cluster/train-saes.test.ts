/** @file `patchbay train-saes` as a process: its set, a real SIGKILL in the middle, and what it refuses. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sha256 } from "../../src/base/hash.js";
import { createRng } from "../../src/base/rng.js";
import { drawSentence, sentenceText } from "../../tools/tiny-world/sentences.js";
import { readModelConfig } from "../../src/families/read-config.js";
import { findSaes } from "../../src/weights/sae-folder.js";
import { patchbay, start, until } from "./command.js";
import { readSae } from "../read-sae.js";

const MODEL = fileURLToPath(new URL("../../data/tiny-gemma2", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "patchbay-saes-"));
const text = join(folder, "text.jsonl");
const place = (name: string): string => join(folder, name);
const FLAGS = ["--layers", "0,2", "--sites", "mlp_out,attn_z", "--width", "128", "--l0", "20", "--tokens", "6000"];
/** Seven fills of the buffer, with a checkpoint after each. */
const command = (out: string, ...more: string[]): string[] => [
  ...["train-saes", "--model", MODEL, "--text", text, "--out", place(out), ...FLAGS],
  ...["--buffer", "1000", "--checkpoint-seconds", "0", ...more],
];

beforeAll(async () => {
  const rng = createRng(5, "sentences for SAEs");
  const lines = Array.from({ length: 900 }, () => JSON.stringify({ text: sentenceText(drawSentence(rng)) }));
  writeFileSync(text, lines.join("\n"));
  const { code, stderr } = await patchbay(command("whole"));
  expect(stderr).toBe("");
  expect(code).toBe(0);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** SHA-256 of each file of a set. */
function hashes(out: string): Record<string, string> {
  const files = readdirSync(place(out), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((file) => join(file.parentPath, file.name)).sort();
  return Object.fromEntries(paths.map((path) => [path.slice(place(out).length + 1), sha256(readFileSync(path))]));
}

describe("a trained set", () => {
  it("is read as Gemma Scope's SAEs of the model, one for each site asked for", async () => {
    const entries = await findSaes(place("whole"), readModelConfig(MODEL));
    expect(entries.map(({ site, layer, width }) => `${String(layer)} ${site} ${String(width)}`)).toEqual([
      "0 attn_z 128",
      "0 mlp_out 128",
      "2 attn_z 128",
      "2 mlp_out 128",
    ]);
    for (const entry of entries) expect((await readSae(entry)).W_dec).toHaveLength(128 * entry.dIn);
  });

  it("has a card that names each SAE's folder and its figures on held-out text, and leaves no checkpoint", () => {
    const card = JSON.parse(readFileSync(join(place("whole"), "card.json"), "utf8")) as {
      saes: { hook: string; folder: string; fvu: number; l0: number; rows: number }[];
      curve: unknown[];
    };
    expect(card.saes).toHaveLength(4);
    for (const { folder: sae, fvu, l0, rows } of card.saes) {
      expect(existsSync(join(place("whole"), sae, "params.npz"))).toBe(true);
      expect([fvu > 0 && fvu < 1, l0 > 0 && l0 < 128, rows > 100]).toEqual([true, true, true]);
    }
    expect(card.curve.length).toBeGreaterThan(5);
    expect(readFileSync(join(place("whole"), "card.md"), "utf8")).toContain("blocks.2.hook_mlp_out");
    expect(readdirSync(place("whole")).sort()).toEqual(["att", "card.json", "card.md", "mlp", "training.json"]);
  });
});

describe("a training that is killed", () => {
  it("goes on with the same command and ends with the same bytes as one that was not", async () => {
    const first = start(command("killed"));
    let printed = "";
    first.child.stdout?.on("data", (bytes: Buffer) => (printed += bytes.toString()));
    await until("three fills", () => (printed.split(" tokens/s").length > 3 ? true : undefined));
    first.child.kill("SIGKILL");
    expect((await first.ended).signal).toBe("SIGKILL");
    expect(existsSync(join(place("killed"), "card.json"))).toBe(false);
    expect(readdirSync(join(place("killed"), "checkpoint"))).not.toEqual([]);

    const second = await patchbay(command("killed"));
    expect(second.code).toBe(0);
    expect(second.stdout).toMatch(/going on after [\d,]+ tokens/);
    expect(second.stdout).not.toMatch(/^9\d\d of/m);
    expect(hashes("killed")).toEqual(hashes("whole"));
  });

  it("is not taken for another training", async () => {
    const other = await patchbay(command("whole", "--seed", "1"));
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(
      /another training was begun here; they differ in seed: was 0, is 1\. Choose another --out/,
    );
  });

  it("is whole afterwards: the command says so and does nothing", async () => {
    const before = hashes("whole");
    const { code, stdout } = await patchbay(command("whole", "--json"));
    expect([code, JSON.parse(stdout)]).toEqual([0, { path: place("whole") }]);
    expect(hashes("whole")).toEqual(before);
  });
});

describe("a command is refused with one line that names the option", () => {
  it.each([
    ["--width", "wide", /--width: expected a number of features/],
    ["--layers", "4", /--layers: expected all, or layers below 4/],
    ["--layers", "2-1", /--layers: expected/],
    ["--sites", "resid_pre", /--sites: expected all, or some of attn_z, mlp_out, resid_post, got resid_pre/],
    ["--l0", "500", /--l0: expected a number above 0 and below the width/],
    ["--tokens", "many", /--tokens: expected a whole number/],
    ["--buffer", "5", /--buffer: expected a whole number from 128/],
    ["--backend", "abacus", /expected one of auto, wasm, torch, tensorflow, got abacus/],
    ["--text", "nowhere.txt", /nowhere\.txt: no such file or folder/],
    ["--model", "nowhere", /config\.json: no such file/],
  ])("%s %s", async (option, value, message) => {
    const { code, stdout, stderr } = await patchbay(command("refused", option, value));
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(existsSync(place("refused"))).toBe(false);
  });
});
