/** @file The version of this build: part of every fingerprint, because other code may give other bits. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hashOfEngineCode } from "./engine-code.js";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** In a checkout, an installed package and a container image alike, it lies beside the folder of compiled files. */
const MANIFEST = new URL("../../package.json", import.meta.url);

let version: string | undefined;

/** Release number: that of package.json. */
export function release(): string {
  return (JSON.parse(readFileSync(MANIFEST, "utf8")) as { readonly version: string }).version;
}

/** `<release>+<first 12 hex digits of a hash over the files that decide the bits of a result>`. */
export function codeVersion(): string {
  version ??= `${release()}+${hashOfEngineCode(ROOT, join(dirname(ROOT), "native")).slice(0, 12)}`;
  return version;
}
