import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { sha256 } from "../../../src/base/hash.js";
import type { ArtifactPart } from "../../../src/wire/messages.js";
import { ArtifactCache } from "../../../src/worker/artifact-cache.js";
import { readCachedFile } from "../../../src/engine/cached-file.js";

let parent: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "patchbay-test-"));
});

afterEach(() => {
  rmSync(parent, { recursive: true, force: true });
});

async function* parts(text: string, hash = sha256(text)): AsyncGenerator<ArtifactPart> {
  yield { kind: "header", sha256: hash, size: text.length };
  for (const letter of text) yield await Promise.resolve({ kind: "chunk", chunk: Buffer.from(letter) });
}

test("a file is fetched once, however often and by whomever it is asked for", async () => {
  const asked: string[] = [];
  const cache = new ArtifactCache((run, name) => {
    asked.push(`${run} ${name}`);
    return parts("abc");
  }, parent);
  const [one, two] = await Promise.all([cache.file("r", "a.bin"), cache.file("r", "a.bin")]);
  expect(one).toBe(two);
  expect(readFileSync(await cache.file("r", "a.bin"), "utf8")).toBe("abc");
  expect(asked).toEqual(["r a.bin"]);
});

test("equal bytes under two names are stored once", async () => {
  const cache = new ArtifactCache(() => parts("abc"), parent);
  expect(await cache.file("r", "a.bin")).toBe(await cache.file("q", "b.bin"));
});

test("a run's files go with it, but those that another run uses", async () => {
  const cache = new ArtifactCache((_run, name) => parts(name), parent);
  const [shared, own] = [await cache.file("r", "a.bin"), await cache.file("r", "b.bin")];
  await cache.file("q", "a.bin");
  cache.forget("r");
  await vi.waitFor(() => {
    expect(existsSync(own)).toBe(false);
  });
  expect(existsSync(shared)).toBe(true);
});

test("bytes that do not match their hash are refused, and fetched again the next time", async () => {
  let hash = sha256("other");
  const cache = new ArtifactCache(() => parts("abc", hash), parent);
  await expect(cache.file("r", "a.bin")).rejects.toThrow(/artifact a\.bin: expected sha256/);
  hash = sha256("abc");
  await expect(cache.file("r", "a.bin")).resolves.toContain(hash);
});

test("a failed fetch is not remembered", async () => {
  let up = false;
  const cache = new ArtifactCache(() => {
    if (up) return parts("abc");
    throw new PatchbayError("coordinator_unreachable", "away");
  }, parent);
  await expect(cache.file("r", "a.bin")).rejects.toMatchObject({ code: "coordinator_unreachable" });
  up = true;
  await expect(cache.file("r", "a.bin")).resolves.toBeTypeOf("string");
});

test("the folder goes with the cache, and those of dead workers with the next one", async () => {
  const orphan = join(parent, "patchbay-worker-999999999-abc");
  mkdirSync(orphan);
  const cache = new ArtifactCache(() => parts("abc"), parent);
  expect(existsSync(orphan)).toBe(false);
  await cache.file("r", "a.bin");
  const living = new ArtifactCache(() => parts("abc"), parent);
  expect(readdirSync(parent)).toHaveLength(2);
  cache.remove();
  living.remove();
  expect(readdirSync(parent)).toEqual([]);
});

test("a copy that was damaged since it came is fetched again, under the name it had, and the others are left alone", async () => {
  const asked: string[] = [];
  const cache = new ArtifactCache((_run, name) => {
    asked.push(name);
    return parts(name);
  }, parent);
  const [one, two] = [await cache.file("r", "a.bin"), await cache.file("r", "b.bin")];
  writeFileSync(one, "a.bim");
  await expect(readCachedFile(one)).rejects.toMatchObject({ code: "damaged_artifact" });
  await cache.mend("r");
  expect(Buffer.from(await readCachedFile(one)).toString()).toBe("a.bin");
  expect(asked).toEqual(["a.bin", "b.bin", "a.bin"]);
  expect([await cache.file("r", "a.bin"), await cache.file("r", "b.bin")]).toEqual([one, two]);
});
