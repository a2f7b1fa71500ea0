import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { countMemoryKills, deathCause } from "../../../src/worker/death-cause.js";

const memoryKills = [0, 0] as const;

test("an exit code and the last words are reported", () => {
  const error = deathCause({ code: 7, signal: null, lastWords: "banner\nError: no such kernel\n", memoryKills });
  expect(error).toMatchObject({
    code: "engine_died",
    message: "the engine process ended with exit code 7; its last words: Error: no such kernel",
  });
});

test("a signal is named", () => {
  const error = deathCause({ code: null, signal: "SIGSEGV", lastWords: "", memoryKills });
  expect(error).toMatchObject({ code: "engine_died", message: "the engine process was killed by SIGSEGV" });
});

test("memory is blamed on evidence: what V8 says, or the kernel's counter", () => {
  const heap = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory";
  expect(deathCause({ code: 134, signal: "SIGABRT", lastWords: heap, memoryKills }).code).toBe("out_of_memory");
  expect(deathCause({ code: null, signal: "SIGKILL", lastWords: "", memoryKills: [3, 4] }).code).toBe("out_of_memory");
  expect(deathCause({ code: null, signal: "SIGKILL", lastWords: "", memoryKills: [3, 3] }).code).toBe("engine_died");
});

test("the kernel's counter is read where there is one", async () => {
  const file = join(tmpdir(), `memory-events-${String(process.pid)}`);
  writeFileSync(file, "low 0\nhigh 0\noom 5\noom_kill 2\n");
  expect(await countMemoryKills(file)).toBe(2);
  expect(await countMemoryKills(`${file}-none`)).toBe(0);
});
