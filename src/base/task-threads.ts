/** @file Work that is cut into tasks whose answers do not depend on which thread gives them. */
import { Worker } from "node:worker_threads";
import { must } from "./assert.js";
import { entryUrl, type Entry } from "./entries.js";
import { PatchbayError } from "./errors.js";

/** What a module of tasks exports. */
export interface TaskModule<Shared = unknown, Task = unknown, Answer = unknown> {
  /** Opens what all tasks read; each thread does so once. */
  readonly openTasks: (shared: Shared) => (task: Task) => Answer;
}

/** A message to a thread. */
export interface TaskMessage {
  readonly index: number;
  readonly task: unknown;
}

/** A thread's answer, or why there is none. */
export type TaskReply =
  | { readonly index: number; readonly answer: unknown }
  | { readonly index: number; readonly failure: { readonly code: PatchbayError["code"]; readonly message: string } };

/** Who does the tasks. */
export interface TaskRunner<Shared, Task, Answer> extends TaskModule<Shared, Task, Answer> {
  /** The same module, as threads load it. */
  readonly entry: Entry;
  /** With one thread it is this one. */
  readonly threads: number;
}

/**
 * Does tasks in threads, and takes their answers in the order of the tasks. Few answers wait at a time: a thread that is ahead rests.
 * @param shared - a structured clone of it goes to every thread; what lies in a SharedArrayBuffer is there once.
 * @throws what a task throws, as a PatchbayError.
 */
export async function mapInThreads<Shared, Task, Answer>(
  { entry, openTasks, threads }: TaskRunner<Shared, Task, Answer>,
  shared: Shared,
  tasks: readonly Task[],
  take: (answer: Answer, index: number) => void,
): Promise<void> {
  if (threads <= 1 || tasks.length <= 1) {
    const perform = openTasks(shared);
    tasks.forEach((task, index) => {
      take(perform(task), index);
    });
    return;
  }
  const workerData = { module: entryUrl(entry).href, shared };
  const workers = Array.from(
    { length: Math.min(threads, tasks.length) },
    () => new Worker(entryUrl("task-thread"), { workerData }),
  );
  try {
    await new Promise<void>((resolve, reject) => {
      runAll(workers, tasks, { take: take as (answer: unknown, index: number) => void, resolve, reject });
    });
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function runAll(
  workers: readonly Worker[],
  tasks: readonly unknown[],
  {
    take,
    resolve,
    reject,
  }: {
    readonly take: (answer: unknown, index: number) => void;
    readonly resolve: () => void;
    readonly reject: (reason: Error) => void;
  },
): void {
  const waiting = new Map<number, unknown>();
  const idle = [...workers];
  let [next, taken] = [0, 0];
  const feed = (): void => {
    while (idle.length > 0 && next < tasks.length && next <= taken + workers.length) {
      must(idle.pop(), "worker").postMessage({ index: next, task: tasks[next] } satisfies TaskMessage);
      next++;
    }
  };
  const settle = (worker: Worker, reply: TaskReply): void => {
    if ("failure" in reply) throw new PatchbayError(reply.failure.code, reply.failure.message);
    waiting.set(reply.index, reply.answer);
    idle.push(worker);
    feed();
    for (; waiting.has(taken); taken++) {
      const answer = waiting.get(taken);
      waiting.delete(taken);
      take(answer, taken);
    }
    feed();
    if (taken === tasks.length) resolve();
  };
  for (const worker of workers) {
    worker.on("error", (cause: Error & { code?: string }) => {
      const code = cause.code === "ERR_WORKER_OUT_OF_MEMORY" ? "out_of_memory" : "application";
      reject(new PatchbayError(code, `a thread of the reduction died: ${cause.message}`, { cause }));
    });
    worker.on("message", (reply: TaskReply) => {
      try {
        settle(worker, reply);
      } catch (thrown) {
        reject(thrown as Error);
      }
    });
  }
  feed();
}

/** The buffers of a reply's arrays, which go over to the other thread and are not copied. */
export function buffersOf(value: unknown, found = new Set<ArrayBuffer>()): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) {
    if (value.buffer instanceof ArrayBuffer && value.byteLength === value.buffer.byteLength) found.add(value.buffer);
  } else if (value instanceof Map || Array.isArray(value)) {
    for (const one of value as Iterable<unknown>) buffersOf(one, found);
  } else if (typeof value === "object" && value !== null) for (const one of Object.values(value)) buffersOf(one, found);
  return [...found];
}
