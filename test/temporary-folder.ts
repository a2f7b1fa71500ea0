/** @file One folder for everything that a run of the tests puts into the system's temporary folder; removed when the run ends. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Called by vitest before the first test; what it returns, after the last. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "patchbay-tests-"));
  process.env["TMPDIR"] = folder;
  return () => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
}
