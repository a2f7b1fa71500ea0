/** @file What a build says of compiled files whose sources are gone, and that no package is made of them. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const SCRIPT = fileURLToPath(new URL("../../../scripts/left-over.js", import.meta.url));

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-left-over-"));
  put("src/base/hash.ts", "src/wire/generated/patchbay.js", "src/wire/generated/patchbay.d.ts");
  put("dist/base/hash.js", "dist/base/hash.js.map", "dist/base/hash.d.ts");
  put("dist/wire/generated/patchbay.js", "dist/wire/generated/patchbay.d.ts");
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function put(...files: string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), "");
  }
}

function look(...flags: string[]): { code: number | null; words: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, folder, ...flags], { encoding: "utf8" });
  return { code: status, words: stdout + stderr };
}

test("a build that made every file says nothing", () => {
  expect(look("--refuse")).toEqual({ code: 0, words: "" });
});

test("files of an earlier build are named and left where they are; no package is made of them", () => {
  put(...["a", "b"].flatMap((name) => [`dist/gone/${name}.js`, `dist/gone/${name}.js.map`, `dist/gone/${name}.d.ts`]));
  const words =
    "dist holds files that this build did not make: gone/a.d.ts, gone/a.js, gone/a.js.map, gone/b.d.ts, gone/b.js and 1 more. " +
    "Delete dist and build again, unless a run that was started from it still goes on.\n";
  expect(look()).toEqual({ code: 0, words });
  expect(look("--refuse")).toEqual({ code: 1, words });
  expect(readdirSync(join(folder, "dist/gone"))).toHaveLength(6);
});
