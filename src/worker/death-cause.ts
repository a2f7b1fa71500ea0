/** @file Why an engine process ended: exit code, signal, or memory. */
import { readFile } from "node:fs/promises";
import { PatchbayError } from "../base/errors.js";

const OUT_OF_MEMORY = /out of memory|allocation failed|bad_alloc|CUDA_ERROR_OUT_OF_MEMORY/i;
const MEMORY_EVENTS = "/sys/fs/cgroup/memory.events";

/** How a process ended. */
export interface Death {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote to standard error. */
  readonly lastWords: string;
  /** {@link countMemoryKills} before and after. */
  readonly memoryKills: readonly [before: number, after: number];
}

/** The error that a dead engine leaves: `out_of_memory` where there is evidence, else `engine_died`. */
export function deathCause({ code, signal, lastWords, memoryKills: [before, after] }: Death): PatchbayError {
  if (signal === "SIGKILL" && after > before) {
    return new PatchbayError("out_of_memory", "the kernel killed the engine process because memory ran out");
  }
  const line = lastWords.trim().split("\n").at(-1) ?? "";
  const how = signal === null ? `ended with exit code ${String(code)}` : `was killed by ${signal}`;
  const words = line === "" ? "" : `; its last words: ${line.slice(0, 500)}`;
  const kind = OUT_OF_MEMORY.test(lastWords) ? "out_of_memory" : "engine_died";
  return new PatchbayError(kind, `the engine process ${how}${words}`);
}

/** How often the kernel has killed a process of this control group for want of memory; 0 where that is not counted. */
export async function countMemoryKills(file: string = MEMORY_EVENTS): Promise<number> {
  const text = await readFile(file, "utf8").catch(() => "");
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}
