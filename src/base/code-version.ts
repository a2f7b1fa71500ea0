/** @file The version of this build: part of every fingerprint, because other code may give other bits. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { hashOfEngineCode } from "./engine-code.js";
import { badInput } from "./errors.js";
import { sha256 } from "./hash.js";
import { registerModule } from "./register-module.js";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** In a checkout, an installed package and a container image alike, it lies beside the folder of compiled files. */
const MANIFEST = new URL("../../package.json", import.meta.url);

let version: string | undefined;

/** Release number: that of package.json. */
export function release(): string {
  return (JSON.parse(readFileSync(MANIFEST, "utf8")) as { readonly version: string }).version;
}

/** `<release>+<first 12 hex digits of a hash over the files that decide the bits of a result>`, a module of methods and experiments included. */
export function codeVersion(): string {
  version ??= `${release()}+${hashOfCode().slice(0, 12)}`;
  return version;
}

function hashOfCode(): string {
  const own = hashOfEngineCode(ROOT, join(dirname(ROOT), "native"));
  const module = registerModule();
  if (module === null) return own;
  if (!existsSync(module)) throw badInput(`there is no file ${module}`, { field: "PATCHBAY_REGISTER" });
  return sha256(`${own} ${sha256(readFileSync(module))}`);
}
