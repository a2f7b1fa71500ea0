/** @file Text and JSON files: what is read, and how faults are located. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { parseJson, readJsonFile, readTextFile } from "../../../src/base/read-file.js";
import { temporaryFolder } from "../weights/temporary-folder.js";

const schema = z.strictObject({ name: z.string(), list: z.array(z.object({ n: z.int() })) });

describe("faults", () => {
  test.each([
    ["{", "not valid JSON: "],
    ['{"name": "x"}', "list: expected array, got nothing: the field is missing"],
    ['{"name": 3, "list": []}', "name: expected string, got number"],
    ['{"name": "x", "list": [{"n": 1}, {"n": 1.5}]}', "list.1.n: expected int, got number"],
  ])("%s names the file, the line and the field", (text, message) => {
    expect(() => parseJson(text, schema, { file: "a.json", line: 3 })).toThrow(`a.json:3: ${message}`);
  });

  test("a field inside a known field has the whole path", () => {
    const where = { file: "a.json", field: "outer" };
    expect(() => parseJson('{"name": 3, "list": []}', schema, where)).toThrow(
      "a.json: outer.name: expected string, got number",
    );
  });

  test("a missing file, a folder and a path through a file", () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "file"), "");
    expect(() => readTextFile(join(folder, "nothing"))).toThrow("nothing: no such file or folder");
    expect(() => readTextFile(join(folder, "file", "inner"))).toThrow("no such file or folder");
    expect(() => readTextFile(folder)).toThrow(`${folder}: expected a file, got a folder`);
  });
});

test("bytes that are not UTF-8 are found by their line", () => {
  const file = join(temporaryFolder(), "pairs.jsonl");
  writeFileSync(file, Buffer.concat([Buffer.from("é\n\n"), Buffer.from([0x63, 0xe9]), Buffer.from("\nlast")]));
  expect(() => readTextFile(file)).toThrow(`${file}:3: expected UTF-8 text, got other bytes`);
});

test("a byte order mark is not part of the text", () => {
  const file = join(temporaryFolder(), "a.json");
  writeFileSync(file, '\uFEFF{"name": "é", "list": []}');
  expect(readJsonFile(file, schema)).toEqual({ name: "é", list: [] });
});
