import { appendFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { engineCodeFiles, hashOfEngineCode } from "../../../src/base/engine-code.js";

const PROJECT = fileURLToPath(new URL("../../..", import.meta.url));
/** Rooms all of whose files only plan, schedule, price, show or fetch. */
const WITHOUT_BITS = ["cli", "coordinator", "cost", "report", "tables", "compare", "sae-training", "doctor"];
/** Rooms all of whose files decide numbers. */
const WITH_BITS = ["passes", "methods", "stats"];

/** Files of types alone. */
const TYPES = ["/experiment.ts", "/shard-program.ts"];

let folder: string;
let root: string;
let native: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-engine-code-"));
  root = join(folder, "src");
  native = join(folder, "native");
  cpSync(join(PROJECT, "src"), root, { recursive: true });
  cpSync(join(PROJECT, "native"), native, { recursive: true, filter: (path) => !/\/build/.test(path) });
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function filesUnder(room: string): string[] {
  return readdirSync(join(root, room), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

test("a change of any file that decides bits changes the hash, and a change of all others together does not", () => {
  const covered = new Set(engineCodeFiles(root, native));
  const before = hashOfEngineCode(root, native);
  const sources = [...filesUnder(""), ...readdirSync(native).map((name) => join(native, name))];
  for (const file of sources.filter((one) => !covered.has(one))) appendFileSync(file, "\n");
  expect(hashOfEngineCode(root, native)).toBe(before);
  for (const file of covered) {
    const text = readFileSync(file);
    appendFileSync(file, "\n");
    expect([relative(folder, file), hashOfEngineCode(root, native) !== before]).toEqual([relative(folder, file), true]);
    writeFileSync(file, text);
  }
});

test("the files that decide bits are those of the rooms that compute, and none of the rooms that show or schedule", () => {
  const covered = new Set(engineCodeFiles(root, native));
  for (const room of WITHOUT_BITS) expect(filesUnder(room).filter((file) => covered.has(file))).toEqual([]);
  const isTypes = (file: string): boolean => TYPES.some((name) => file.endsWith(name));
  for (const room of WITH_BITS)
    expect(filesUnder(room).filter((file) => !covered.has(file) && !isTypes(file))).toEqual([]);
  const slices = filesUnder("experiments").filter((file) =>
    /\/(report\/.*|stages|check(-\w+)?|filter-rows|keys|planned-change|work)\.ts$/.test(file),
  );
  expect(slices.length).toBeGreaterThan(20);
  expect(slices.filter((file) => covered.has(file))).toEqual([]);
  const computing = filesUnder("experiments").filter((file) => !slices.includes(file) && !file.endsWith("/task.ts"));
  expect(computing.filter((file) => !covered.has(file) && !isTypes(file))).toEqual([]);
  const sources = readdirSync(native).filter((name) => /\.(cc|h)$/.test(name));
  expect(sources.length).toBeGreaterThan(3);
  for (const name of sources) expect(covered.has(join(native, name))).toBe(true);
});

test("the sources and what is compiled of them have the same files", () => {
  const named = (folder: string): string[] =>
    engineCodeFiles(join(PROJECT, folder), native).map((file) =>
      relative(join(PROJECT, folder), file).replace(/\.[jt]s$/, ""),
    );
  expect(named("dist")).toEqual(named("src"));
});

test("the hash does not depend on where the build lies, nor on whether files are there that nobody imports", () => {
  const elsewhere = join(folder, "elsewhere");
  cpSync(root, join(elsewhere, "src"), { recursive: true });
  cpSync(native, join(elsewhere, "native"), { recursive: true });
  writeFileSync(join(elsewhere, "src", "worker", "left-over.js"), "export {};\n");
  expect(hashOfEngineCode(join(elsewhere, "src"), join(elsewhere, "native"))).toBe(hashOfEngineCode(root, native));
  expect(dirname(root)).not.toBe(elsewhere);
});
