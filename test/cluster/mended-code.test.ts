/** @file A run is continued by a build in which a label was mended, and refused by one in which a computation was. */
import { spawnSync } from "node:child_process";
import { appendFileSync, cpSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const TINY_A = join(PROJECT, "test/fixtures/tiny-a");

let folder: string;

/** Runs the sweep with the copied build. */
function run(): { code: number | null; stdout: string; stderr: string } {
  const command = [join(folder, "bin/patchbay.js"), "run", join(folder, "sweep.yaml"), "--out", join(folder, "run")];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...command, "--backend", "wasm"], {
    cwd: folder,
    encoding: "utf8",
  });
  return { code: status, stdout, stderr };
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-mended-"));
  for (const part of ["bin", "dist", "proto", "native", "package.json"])
    cpSync(join(PROJECT, part), join(folder, part), { recursive: true, filter: (path) => !/native\/build/.test(path) });
  symlinkSync(join(PROJECT, "node_modules"), join(folder, "node_modules"));
  writeFileSync(
    join(folder, "sweep.yaml"),
    `name: mended
model: { path: ${TINY_A}/model }
dataset: { path: ${TINY_A}/data/pairs.jsonl, limit: 4 }
saes: none
scores: [{ name: atp, method: atp }]
`,
  );
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("a mended label continues last night's run, and a mended sum refuses to", () => {
  expect(run()).toMatchObject({ code: 0 });
  appendFileSync(join(folder, "dist/report/labels.js"), "\n");
  rmSync(join(folder, "run/report.html")); // So that there is something left to do.
  const again = run();
  expect(again.stderr).toBe("");
  expect(again.code).toBe(0);
  expect(existsSync(join(folder, "run/report.html"))).toBe(true);
  appendFileSync(join(folder, "dist/stats/rank.js"), "\n");
  const refused = run();
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/was begun on another environment \(code: was ([\d.]+)\+\w{12}, is \1\+\w{12}\)/);
});
