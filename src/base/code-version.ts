/** @file The version of this build: part of every fingerprint, because other code may give other bits. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { sha256 } from "./hash.js";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Release number, kept equal to package.json by a test. */
export const RELEASE = "0.1.0";

let version: string | undefined;

/** `<release>+<first 12 hex digits of a hash over every compiled file>`. */
export function codeVersion(): string {
  version ??= `${RELEASE}+${hashOfBuild().slice(0, 12)}`;
  return version;
}

function hashOfBuild(): string {
  const files = readdirSync(ROOT, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(js|ts)$/.test(entry.name) && !entry.name.endsWith(".d.ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return sha256(files.map((file) => `${relative(ROOT, file)} ${sha256(readFileSync(file))}\n`).join(""));
}
