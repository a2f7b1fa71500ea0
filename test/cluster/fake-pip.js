#!/usr/bin/env node
/**
 * @file Stands in for `python3 -m pip download ... -d FOLDER`: copies the wheels of FAKE_PIP_WHEELS that FOLDER lacks, and notes the
 * call in FAKE_PIP_LOG. With FAKE_PIP_HALT it stops for ever in the middle of the second wheel.
 */
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const { FAKE_PIP_WHEELS = "", FAKE_PIP_LOG = "", FAKE_PIP_HALT } = process.env;
const folder = process.argv[process.argv.indexOf("-d") + 1] ?? "";
mkdirSync(folder, { recursive: true });
const wheels = readdirSync(FAKE_PIP_WHEELS).sort();
const lacking = wheels.filter((name) => !existsSync(join(folder, name)));
appendFileSync(FAKE_PIP_LOG, `${lacking.join(" ")}\n`);
for (const [i, name] of lacking.entries()) {
  if (FAKE_PIP_HALT !== undefined && i === 1) {
    const bytes = readFileSync(join(FAKE_PIP_WHEELS, name));
    writeFileSync(join(folder, name), bytes.subarray(0, bytes.length / 2));
    process.stderr.write("pip is halfway\n");
    setInterval(() => undefined, 1e6);
    break;
  }
  copyFileSync(join(FAKE_PIP_WHEELS, name), join(folder, name));
}
