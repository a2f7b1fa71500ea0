/** @file How a reader names a run folder. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findRunFolder } from "../../../src/run/find-run-folder.js";

let folder = "";
let home = "";
beforeEach(() => {
  home = process.cwd();
  folder = mkdtempSync(join(tmpdir(), "patchbay-find-"));
  for (const name of ["runs/demo-1234", "runs/demo-1299", "runs/other", "elsewhere/mine"]) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, "run.json"), "{}");
  }
  mkdirSync(join(folder, "runs/other-notes"));
  process.chdir(folder);
});
afterEach(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

test("a run is named by its path, by its name in runs, or by the beginning of either", () => {
  expect(findRunFolder("runs/other")).toBe("runs/other");
  expect(findRunFolder("other")).toBe("runs/other");
  expect(findRunFolder("oth")).toBe("runs/other");
  expect(findRunFolder("runs/demo-123")).toBe("runs/demo-1234");
  expect(findRunFolder(join(folder, "elsewhere/m"))).toBe(join(folder, "elsewhere/mine"));
});

test("a beginning of several runs, of none, and a folder without a run are refused", () => {
  expect(() => findRunFolder("demo")).toThrow(
    "run: several runs begin with demo: runs/demo-1234, runs/demo-1299; write more of the name",
  );
  expect(() => findRunFolder("nothing")).toThrow("nothing: expected the folder of a run");
  expect(() => findRunFolder("elsewhere")).toThrow("elsewhere/mine is one");
});
