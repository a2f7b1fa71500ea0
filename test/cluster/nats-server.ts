/** @file Starts real NATS servers with JetStream on loopback, for tests that need one. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer } from "../../scripts/nats-server.js";
import { isLeftOut } from "../left-out.js";

/** Tests that need a server are skipped. */
export const WITHOUT_NATS = isLeftOut(findNatsServer());

/** The server takes a free port and says which. */
const ANY_PORT = -1;

/** A server of one test. */
export interface NatsServer {
  /** `nats://127.0.0.1:<port>`; the same after a restart. */
  readonly url: string;
  /** Folder of its streams. */
  readonly storage: string;
  /** Ends it with SIGKILL, as a crash would. */
  kill(): Promise<void>;
  /** Starts it again on the same port and storage. */
  restart(): Promise<void>;
  /** Ends it and removes its storage. */
  stop(): Promise<void>;
}

/**
 * Starts a server on a free port, with file storage in a temporary folder.
 * @param options `jetStream: false` leaves JetStream out; `extra` is added to the configuration file.
 * @throws Error when the machine has no nats-server.
 */
export async function startNatsServer(options: { jetStream?: boolean; extra?: string } = {}): Promise<NatsServer> {
  const binary = findNatsServer();
  if (binary === null)
    throw new Error("no nats-server here: run `node scripts/nats-server.js`, which fetches one or says why not");
  const folder = await mkdtemp(join(tmpdir(), "patchbay-nats-"));
  const config = join(folder, "nats.conf");
  const storage = join(folder, "storage");
  const jetStream = `jetstream { store_dir: ${JSON.stringify(storage)}, max_memory_store: 64MiB, max_file_store: 4GiB }`;
  const serverConfig = (port: number): string =>
    [
      `host: 127.0.0.1`,
      `port: ${String(port)}`,
      options.jetStream === false ? "" : jetStream,
      options.extra ?? "",
    ].join("\n");
  await writeFile(config, serverConfig(ANY_PORT));
  let running = await launch(binary, config);
  await writeFile(config, serverConfig(running.port));
  return {
    url: `nats://127.0.0.1:${String(running.port)}`,
    storage,
    kill: () => end(running.server),
    restart: async () => {
      running = await launch(binary, config);
    },
    stop: async () => {
      await end(running.server);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

interface Running {
  readonly server: ChildProcess;
  readonly port: number;
}

async function launch(binary: string, config: string): Promise<Running> {
  const server = spawn(binary, ["-c", config], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  await new Promise<void>((ready, fail) => {
    server.once("error", fail);
    server.once("exit", (code) => {
      fail(new Error(`nats-server ended with code ${String(code)}:\n${log}`));
    });
    server.stderr.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      if (log.includes("Server is ready")) ready();
    });
  });
  const [, port] = /Listening for client connections on [^\n]*:(\d+)/.exec(log) ?? [];
  return { server, port: Number(port) };
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const gone = once(server, "exit");
  server.kill("SIGKILL");
  await gone;
}
