/** @file Folders that live as long as one test. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** The golden fixture. */
export const TINY_A = "test/fixtures/tiny-a";

/** An empty folder. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "patchbay-test-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  return folder;
}

/** A copy of a folder of the fixture, to be damaged. */
export function copyOf(part: string): string {
  const folder = join(temporaryFolder(), "copy");
  cpSync(join(TINY_A, part), folder, { recursive: true });
  return folder;
}

/** Rewrites a file's bytes. */
export function editBytes(path: string, edit: (bytes: Uint8Array) => Uint8Array): void {
  writeFileSync(path, edit(readFileSync(path)));
}

/** Rewrites fields of a JSON file; a field set to undefined is removed. */
export function editJson(path: string, fields: Record<string, unknown>): void {
  const value = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...value, ...fields }));
}
