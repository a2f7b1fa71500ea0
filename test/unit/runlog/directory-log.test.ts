import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { sha256 } from "../../../src/base/hash.js";
import { createRng } from "../../../src/base/rng.js";
import { openDirectoryLog } from "../../../src/runlog/directory-log.js";
import { bytesOf, envelopeOf } from "./records.js";

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "patchbay-log-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const payload = bytesOf(4000, "directory");
const append = async (shard: string): Promise<void> => {
  const log = await openDirectoryLog(folder);
  await log.append(envelopeOf(shard, payload), payload);
};

describe("files of the folder log", () => {
  test("a record is one file under its stage, and nothing else is left behind", async () => {
    await append("truth.00003");
    expect((await readdir(folder, { recursive: true })).sort()).toEqual([".tmp", "truth", "truth/00003.record"]);
  });

  test("a folder that does not exist is made, with the folders above it", async () => {
    const log = await openDirectoryLog(join(folder, "a", "b", "log"));
    await log.append(envelopeOf("truth.00000", payload), payload);
    expect(await readdir(join(folder, "a", "b", "log", "truth"))).toEqual(["00000.record"]);
  });

  test("the temporary file of a writer that died is not read, stays while it may be in use, and goes when it is old", async () => {
    await append("truth.00000");
    const record = await readFile(join(folder, "truth", "00000.record"));
    const [fresh, old] = [join(folder, ".tmp", "fresh"), join(folder, ".tmp", "old")];
    await writeFile(fresh, record);
    await writeFile(old, record.subarray(0, 100));
    await utimes(old, 0, 0);
    const log = await openDirectoryLog(folder);
    expect(await log.list()).toHaveLength(1);
    expect(await readdir(join(folder, ".tmp"))).toEqual(["fresh"]);
  });

  test("what is not a record is not listed: torn, empty, misplaced or foreign files", async () => {
    await append("truth.00000");
    const record = await readFile(join(folder, "truth", "00000.record"));
    await writeFile(join(folder, "truth", "00001.record"), record.subarray(0, 60));
    await writeFile(join(folder, "truth", "00002.record"), "");
    await writeFile(join(folder, "truth", "00003.record"), record);
    await writeFile(join(folder, "truth", "notes.txt"), "mine");
    await mkdir(join(folder, "truth", "00004.d"));
    await writeFile(join(folder, "README"), "mine");
    const log = await openDirectoryLog(folder);
    expect((await log.list()).map(({ shard }) => shard)).toEqual(["truth.00000"]);
    for (const shard of ["truth.00001", "truth.00002", "truth.00003"]) {
      await expect(log.read(shard)).rejects.toMatchObject({ code: "corrupt_record" });
    }
  });

  test("a payload that is damaged is listed but does not read, and a new append keeps the damaged bytes aside", async () => {
    await append("truth.00000");
    const file = join(folder, "truth", "00000.record");
    const record = await readFile(file);
    record[record.length - 5] = must(record[record.length - 5], "byte") ^ 4;
    await writeFile(file, record);
    const log = await openDirectoryLog(folder);
    expect(await log.list()).toHaveLength(1);
    await expect(log.read("truth.00000")).rejects.toThrow(`${file}: expected a payload with sha256 ${sha256(payload)}`);
    expect(await log.append(envelopeOf("truth.00000", payload), payload)).toEqual({ status: "accepted" });
    expect(await readdir(join(folder, ".damaged"))).toHaveLength(1);
    expect(sha256(must(await log.read("truth.00000"), "record").payload)).toBe(sha256(payload));
  });

  test("random bit flips in a file are detected wherever they fall", async () => {
    await append("truth.00000");
    const file = join(folder, "truth", "00000.record");
    const record = await readFile(file);
    const rng = createRng(5, "flips");
    const log = await openDirectoryLog(folder);
    for (let flip = 0; flip < 200; flip++) {
      const flipped = Buffer.from(record);
      const at = rng.int(flipped.length);
      flipped[at] = must(flipped[at], "byte") ^ (1 << rng.int(8));
      await writeFile(file, flipped);
      await expect(log.read("truth.00000")).rejects.toMatchObject({ code: "corrupt_record" });
    }
  });

  test("many writers that find the same damaged record replace it with exactly one of theirs", async () => {
    await append("truth.00000");
    await writeFile(join(folder, "truth", "00000.record"), "torn");
    const logs = await Promise.all(Array.from({ length: 8 }, () => openDirectoryLog(folder)));
    const outcomes = await Promise.all(logs.map((log) => log.append(envelopeOf("truth.00000", payload), payload)));
    expect(outcomes.filter(({ status }) => status === "accepted").length).toBeGreaterThanOrEqual(1);
    expect(sha256(must(await must(logs[0], "log").read("truth.00000"), "record").payload)).toBe(sha256(payload));
  });

  test("a folder that cannot be written is reported with its name", async () => {
    await writeFile(join(folder, "file"), "");
    await expect(openDirectoryLog(join(folder, "file", "log"))).rejects.toThrow(
      `run log: cannot write ${join(folder, "file", "log", ".tmp")} (ENOTDIR`,
    );
  });
});
