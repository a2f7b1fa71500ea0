import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { writeFileAtomically } from "../../../src/base/write-file.js";

it("a full disk is an error that says what to do, and the old file stays", () => {
  const folder = mkdtempSync(join(tmpdir(), "patchbay-write-"));
  const path = join(folder, "run.json");
  const temporary = `${path}.${String(process.pid)}.tmp`;
  writeFileSync(path, "old");
  symlinkSync("/dev/full", temporary);
  expect(() => {
    writeFileAtomically(path, "new");
  }).toThrow(
    expect.objectContaining({ code: "disk_full", message: expect.stringContaining("free some space") as string }),
  );
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(existsSync(temporary)).toBe(false);
  rmSync(folder, { recursive: true });
});
