/** @file The lock between processes: one holder at a time, and no holder's death keeps others out. */
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { withMachineLock } from "../../../src/hub/machine-lock.js";
import { temporaryFolder } from "../weights/temporary-folder.js";

const silent = { say: (): void => undefined };
const holder = (pid: number, host = hostname()): string => JSON.stringify({ pid, host, id: "another" });

/** A process number that nobody has: its owner has ended. */
function deadPid(): number {
  return spawnSync(process.execPath, ["-e", ""]).pid;
}

describe("a machine lock", () => {
  test("lets one in at a time, all of them in the end, and leaves nothing", async () => {
    const folder = temporaryFolder();
    let inside = 0;
    let most = 0;
    const enter = (): Promise<void> =>
      withMachineLock(join(folder, "deep", "x.lock"), silent, async () => {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
      });
    await Promise.all(Array.from({ length: 5 }, enter));
    expect([inside, most]).toEqual([0, 1]);
    expect(readdirSync(join(folder, "deep"))).toEqual([]);
  });

  test("is released when its use fails", async () => {
    const path = join(temporaryFolder(), "x.lock");
    await expect(withMachineLock(path, silent, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(existsSync(path)).toBe(false);
  });

  test.each([
    ["whose holder is gone", holder(deadPid()), 0],
    ["that nobody touched for an hour, of another host", holder(process.pid, "elsewhere"), 3600],
    ["that is not one of ours, and old", "", 3600],
  ])("%s is taken over", async (_what, contents, ageSeconds) => {
    const path = join(temporaryFolder(), "x.lock");
    writeFileSync(path, contents);
    const then = new Date(Date.now() - ageSeconds * 1000);
    utimesSync(path, then, then);
    const seen = await withMachineLock(path, silent, () => Promise.resolve(readFileSync(path, "utf8")));
    expect(JSON.parse(seen)).toMatchObject({ pid: process.pid });
    expect(existsSync(path)).toBe(false);
  });

  test.each([
    ["a living process", holder(process.pid)],
    ["a process of another host that touched it just now", holder(1, "elsewhere")],
  ])("of %s is waited for, and not for ever", async (_what, contents) => {
    const folder = join(temporaryFolder(), "locks");
    mkdirSync(folder);
    writeFileSync(join(folder, "x.lock"), contents);
    const said: string[] = [];
    const patience = { say: (text: string) => said.push(text), maxWaitMs: 0 };
    await expect(withMachineLock(join(folder, "x.lock"), patience, () => Promise.resolve())).rejects.toThrow(
      "x.lock is held by process",
    );
    expect(readFileSync(join(folder, "x.lock"), "utf8")).toBe(contents);
    expect(readdirSync(folder)).toEqual(["x.lock"]);
  });
});
