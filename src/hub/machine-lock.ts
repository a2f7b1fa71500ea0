/**
 * @file A lock between processes that share a disk. The file names its holder, whose sign of life is the file's time:
 *
 * 1. The lock is made in one step, with its contents (a link to a file that is written already).
 * 2. Its holder touches it every few seconds.
 * 3. It is stale when its holder, a process of this host, is gone, or when nobody touched it for a minute.
 * 4. A stale lock is moved away first and then looked at again, so that a fresh one is never lost to a slow reader.
 */
import { randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { PatchbayError } from "../base/errors.js";
import { isProcessAlive } from "../base/process-alive.js";

const TOUCH_MS = 5000;
const STALE_MS = 60_000;
const LOOK_MS = 200;
const MAX_WAIT_MS = 4 * 3600_000;

const holderSchema = z.object({ pid: z.int(), host: z.string(), id: z.string() });
type Holder = z.infer<typeof holderSchema>;

/** How a lock is waited for. */
export interface LockPatience {
  /** Told once who holds it. */
  readonly say: (text: string) => void;
  readonly maxWaitMs?: number;
}

/**
 * Runs `use` while this process alone holds the lock at `path`.
 * @throws PatchbayError `hub_unreachable` when another process holds it for longer than anything should take.
 */
export async function withMachineLock<T>(path: string, patience: LockPatience, use: () => Promise<T>): Promise<T> {
  const mine: Holder = { pid: process.pid, host: hostname(), id: randomUUID() };
  await acquire(path, mine, patience);
  const touching = setInterval(() => {
    touch(path, mine);
  }, TOUCH_MS);
  try {
    return await use();
  } finally {
    clearInterval(touching);
    if (readHolder(path)?.id === mine.id) rmSync(path, { force: true });
  }
}

async function acquire(path: string, mine: Holder, { say, maxWaitMs = MAX_WAIT_MS }: LockPatience): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const giveUpAt = performance.now() + maxWaitMs;
  let said = false;
  while (!take(path, mine)) {
    if (removeStale(path)) continue;
    const holder = readHolder(path);
    const who = `process ${holder?.pid ?? "?"} on ${holder?.host ?? "?"}`;
    if (performance.now() >= giveUpAt)
      throw new PatchbayError(
        "hub_unreachable",
        `${path} is held by ${who} for too long; end that process, or remove the file`,
      );
    if (!said) say(`waiting for ${who}, which fetches the same file`);
    said = true;
    await sleep(LOOK_MS);
  }
}

/** One attempt: the lock appears with its contents, or not at all. */
function take(path: string, mine: Holder): boolean {
  const draft = `${path}.${mine.id}`;
  writeFileSync(draft, JSON.stringify(mine));
  try {
    linkSync(draft, path);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw thrown;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** @returns whether the way may be free now. */
function removeStale(path: string): boolean {
  const found = readHolder(path);
  if (!isStale(path, found)) return false;
  const aside = `${path}.stale-${randomUUID()}`;
  try {
    renameSync(path, aside);
    if (readHolder(aside)?.id !== found?.id) linkSync(aside, path); // Somebody was faster, and this is theirs.
  } catch {
    // Somebody else moved it, or took its place.
  }
  rmSync(aside, { force: true });
  return true;
}

function isStale(path: string, holder: Holder | null): boolean {
  if (holder !== null && holder.host === hostname() && !isProcessAlive(holder.pid)) return true;
  const status = statSync(path, { throwIfNoEntry: false });
  return status === undefined || Date.now() - status.mtimeMs > STALE_MS;
}

function touch(path: string, mine: Holder): void {
  const now = new Date();
  try {
    if (readHolder(path)?.id === mine.id) utimesSync(path, now, now);
  } catch {
    // Taken away meanwhile: what the lock guards is checked by its hash.
  }
}

/** Null where there is no lock, or one that cannot be read. */
function readHolder(path: string): Holder | null {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return null;
  }
}
