/** @file A thread of `mapInThreads`: loads a module, opens it once, and answers its tasks. */
import { parentPort, workerData } from "node:worker_threads";
import { must } from "./assert.js";
import { toPatchbayError } from "./errors.js";
import { buffersOf, type TaskMessage, type TaskModule, type TaskReply } from "./task-threads.js";

const port = must(parentPort, "parent thread");
const { module, shared } = workerData as { readonly module: string; readonly shared: unknown };

const opening = import(module).then((loaded: TaskModule) => loaded.openTasks(shared));

async function reply({ index, task }: TaskMessage): Promise<TaskReply> {
  try {
    return { index, answer: (await opening)(task) };
  } catch (thrown) {
    const { code, message } = toPatchbayError(thrown);
    return { index, failure: { code, message } };
  }
}

port.on("message", (message: TaskMessage) => {
  void reply(message).then((answer) => {
    port.postMessage(answer, buffersOf(answer));
  });
});
