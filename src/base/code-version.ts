/** @file The version of this build: part of every fingerprint, because other code may give other bits. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hashOfEngineCode } from "./engine-code.js";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Release number, kept equal to package.json by a test. */
export const RELEASE = "0.1.0";

let version: string | undefined;

/** `<release>+<first 12 hex digits of a hash over the files that decide the bits of a result>`. */
export function codeVersion(): string {
  version ??= `${RELEASE}+${hashOfEngineCode(ROOT, join(dirname(ROOT), "native")).slice(0, 12)}`;
  return version;
}
