/** @file Dataset files: rows, faults and their places. */
import fc from "fast-check";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { fingerprintDataset, readDataset } from "../../../src/prompts/rows.js";
import { temporaryFolder } from "../weights/temporary-folder.js";

const DATA = "test/fixtures/tiny-a/data";
const PAIR = '{"clean_prefix": "The cat", "patch_prefix": "The cats", "clean_answer": " is", "patch_answer": " are"}';
const PLAIN = '{"prompt": "The cat", "true_answer": " is", "false_answer": " are"}';

/** A dataset file with this content. */
function fileWith(content: string | Uint8Array, name = "rows.jsonl"): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  return path;
}

/** Messages of all faults that one round finds. */
function faultsOf(read: () => unknown): string[] {
  try {
    read();
  } catch (thrown) {
    if (thrown instanceof PatchbayError) return [thrown, ...thrown.others].map(({ message }) => message);
    throw thrown;
  }
  return [];
}

describe("reading", () => {
  test("pairs and plain rows of the fixture are read with their lines", () => {
    const pairs = readDataset(`${DATA}/pairs.jsonl`);
    expect(pairs).toHaveLength(24);
    expect(pairs[0]).toEqual({
      kind: "pair",
      file: "pairs.jsonl",
      line: 1,
      cleanPrefix: "The boys that the king hates",
      patchPrefix: "The boy that the king hates",
      cleanAnswer: " have",
      patchAnswers: [" has"],
      case: "plural_singular",
    });
    expect(readDataset(`${DATA}/plain.jsonl`)[7]).toMatchObject({ kind: "plain", line: 8, falseAnswers: [" have"] });
  });

  test("blank lines, Windows line ends, a byte order mark and unknown fields do not matter; lines count all the same", () => {
    const extra = PAIR.replace("{", '{"source": "x", ');
    const rows = readDataset(fileWith(`\uFEFF${PAIR}\r\n\r\n   \n${extra}\n\n`));
    expect(rows.map(({ line }) => line)).toEqual([1, 4]);
  });

  test("a cluster is kept for pairs and plain rows, and is absent where the row names none", () => {
    for (const row of [PAIR, PLAIN]) {
      const rows = readDataset(fileWith(`${row.replace("{", '{"cluster": "cat", ')}\n${row}`));
      expect(rows.map(({ cluster }) => cluster)).toEqual(["cat", undefined]);
      expect(rows[1]).not.toHaveProperty("cluster");
    }
  });

  test("several incorrect answers are kept in order", () => {
    const rows = readDataset(fileWith(PAIR.replace('" are"', '[" are", " were"]')));
    expect(rows).toMatchObject([{ patchAnswers: [" are", " were"] }]);
  });

  test("a folder's files are read in name order, and nothing else in it", () => {
    const path = temporaryFolder();
    writeFileSync(join(path, "b.jsonl"), PAIR);
    writeFileSync(join(path, "a.jsonl"), `\n${PAIR}`);
    writeFileSync(join(path, "notes.txt"), "not JSON");
    expect(readDataset(path)).toMatchObject([
      { file: "a.jsonl", line: 2 },
      { file: "b.jsonl", line: 1 },
    ]);
  });

  test("the fingerprint is the file's SHA-256, wherever it lies, and changes with any byte", async () => {
    const hash = await fingerprintDataset(fileWith("abc"));
    expect(hash).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(await fingerprintDataset(fileWith("abc", "other.jsonl"))).toBe(hash);
    expect(await fingerprintDataset(fileWith("abd"))).not.toBe(hash);
  });
});

describe("faults are located by file, line and field", () => {
  test.each([
    [`${PAIR}\n{"clean_prefix"\n`, ":2: not valid JSON: "],
    [`${PAIR}\n[1]\n`, ":2: expected record, got array"],
    [
      `\n${PAIR.replace("clean_answer", "answer")}`,
      ":2: clean_answer: expected string, got nothing: the field is missing",
    ],
    [PAIR.replace('" are"', "3"), ":1: patch_answer: expected a string or a list of strings, got 3"],
    [PAIR.replace('" are"', "[]"), ":1: patch_answer: expected at least one answer, got none"],
    [
      PAIR.replace(', "patch_answer": " are"', ""),
      ":1: patch_answer: expected a string or a list of strings, got nothing",
    ],
    [PLAIN.replace('" is"', "null"), ":1: true_answer: expected string, got null"],
    [
      '{"asks": "?"}',
      ":1: expected clean_prefix, patch_prefix, clean_answer and patch_answer; or prompt, true_answer and false_answer; or question, choices and answerKey; or statement and label; got asks",
    ],
    ["{}", "got no field"],
    [`${PAIR}\n\n${PLAIN}`, ":3: expected a pair row as in rows.jsonl:1, got a plain row; use two datasets"],
    ["", ": expected at least one row, got none"],
    ["\n \n", ": expected at least one row, got none"],
  ])("%j", (content, message) => {
    const path = fileWith(content);
    expect(() => readDataset(path)).toThrow(path);
    expect(() => readDataset(path)).toThrow(message);
  });

  test("of all lines and fields at once", () => {
    const path = fileWith(`{"clean_prefix": "a"}\n${PAIR}\n[1]\n`);
    const messages = faultsOf(() => readDataset(path)).map((message) => message.replace(`${path}:`, ""));
    expect(messages).toEqual([
      "1: patch_prefix: expected string, got nothing: the field is missing",
      "1: clean_answer: expected string, got nothing: the field is missing",
      "1: patch_answer: expected a string or a list of strings, got nothing: the field is missing",
      "3: expected record, got array",
    ]);
  });

  test("a missing file, an empty folder, and bytes that are not text", () => {
    expect(() => readDataset("nowhere.jsonl")).toThrow("nowhere.jsonl: no such file or folder");
    const path = temporaryFolder();
    mkdirSync(join(path, "inner"));
    expect(() => readDataset(path)).toThrow(`${path}: expected at least one row, got none`);
    expect(() => readDataset(fileWith(Uint8Array.of(0xff, 0xfe, 0)))).toThrow("expected UTF-8 text, got other bytes");
  });

  test("any text reads, or fails with one of our errors", () => {
    const path = fileWith("");
    const line = fc.oneof(fc.string(), fc.json(), fc.constantFrom(PAIR, PLAIN, PAIR.slice(0, -4)));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 4 }), (lines) => {
        writeFileSync(path, lines.join("\n"));
        try {
          readDataset(path);
        } catch (error) {
          expect(error).toBeInstanceOf(PatchbayError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
