/** @file A child process that answers one JSON line to each JSON line. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** Starts it; its first line is what it says when it is ready. */
export async function startLineProcess(command, args, env) {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...env } });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${command} ended (exit code ${String(await ended)}); its last words are above`);
    return JSON.parse(value);
  };
  const ready = await next();
  return {
    ready,
    pid: child.pid,
    ask: async (request) => {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return await next();
    },
    end: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
