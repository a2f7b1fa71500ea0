/** @file One folder for everything that a run of the tests puts into the system's temporary folder; removed when the run ends. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Called by vitest before the first test, once for each project; what it returns, after the last. The first one's folder serves all. */
export default function setup(): (() => void) | undefined {
  if (process.env["PATCHBAY_TEST_FOLDER"] !== undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "patchbay-tests-"));
  process.env["TMPDIR"] = process.env["PATCHBAY_TEST_FOLDER"] = folder;
  return () => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
}
