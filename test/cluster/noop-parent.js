/** @file Starts the given role with a pipe and waits: a parent to be killed. Prints the role's process id, and its engine's. */
import { fork } from "node:child_process";

const child = fork(process.argv[2], process.argv.slice(3), { stdio: ["ignore", "ignore", "ignore", "ipc"] });
const tell = (pid) => process.stdout.write(`${String(pid)}\n`);
tell(child.pid);
child.on("message", (/** @type {{ kind: string, pid: number | null }} */ message) => {
  if (message.kind === "engine" && message.pid !== null) tell(message.pid);
});
