/** @file Several files as one sweep: fields and anchors of all, faults in the file that has them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { REGISTER } from "../../../src/experiments/registry.js";
import { readSweep, type SweepSource } from "../../../src/sweep/read-sweep.js";
import { readSweepFiles } from "../../../src/sweep/sweep-files.js";

const MODEL = "model: { path: m }\nx-dataset: &rows { path: d.jsonl, limit: 5 }\nx-late: [&last 3]";
const MEANS = "name: both\ndataset: *rows\nmeans: true\n";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-files-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function read(...texts: readonly string[]): SweepSource {
  const paths = texts.map((text, i) => {
    const path = join(folder, `${String.fromCharCode(97 + i)}.yaml`);
    writeFileSync(path, text);
    return path;
  });
  return readSweep(REGISTER.experiments, readSweepFiles(paths));
}

describe("several sweep files", () => {
  it("are one sweep: anchors of one file stand for values in the next, and x- fields are nobody's", () => {
    const { sweep } = read(MODEL, MEANS);
    expect(sweep).toMatchObject({ name: "both", model: { path: "m" }, dataset: { path: "d.jsonl", limit: 5 } });
    expect(Object.keys(sweep).filter((name) => name.startsWith("x-"))).toEqual([]);
  });

  it("are the same sweep as one file", () => {
    expect(read(`${MODEL}\n${MEANS}`).sweep).toEqual(read(MODEL, MEANS).sweep);
  });

  it.each([
    ["in the first", ["model: { paht: m }", MEANS.replace("*rows", "{ path: d }")], "a.yaml:1: model.path"],
    ["in the second", [MODEL, `${MEANS}seed: no\n`], "b.yaml:4: seed"],
    ["a field of both", [MODEL, `${MEANS}model: { path: n }\n`], "b.yaml:4: not valid YAML: Map keys must be unique"],
    ["a line that is no field", [MODEL, `${MEANS}oops`], /b\.yaml:4: not valid YAML: [^0-9]*$/],
    ["a second document", [MODEL, `---\n${MEANS}`], "b.yaml:1: not valid YAML: another document begins here; take"],
    ["an anchor that neither has", [MODEL, MEANS.replace("*rows", "*others")], "b.yaml:2: not valid YAML"],
  ])("say their faults in the file that has them: %s", (_where, texts, words) => {
    expect(() => read(...texts)).toThrow(words);
  });
});
