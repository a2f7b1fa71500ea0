/** @file Runs the run log's conformance suite on both implementations. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "nats";
import { must } from "../../src/base/assert.js";
import { startNatsServer, WITHOUT_NATS, type NatsServer } from "./nats-server.js";
import { describeRunLog } from "./runlog-conformance.js";

let folder: string | undefined;

describeRunLog("a folder", {
  location: (runId) => `dir:${join(must(folder, "folder"), runId)}`,
  damage: async (runId, shard) => {
    const file = join(must(folder, "folder"), runId, `${shard.replace(".", "/")}.record`);
    const bytes = await readFile(file);
    await writeFile(file, bytes.subarray(0, bytes.length - 1));
  },
  start: async () => {
    folder = await mkdtemp(join(tmpdir(), "patchbay-runlog-"));
  },
  stop: () => rm(must(folder, "folder"), { recursive: true, force: true }),
});

let server: NatsServer | undefined;

describeRunLog("NATS JetStream", {
  leftOut: WITHOUT_NATS,
  location: () => must(server, "server").url,
  damage: async (runId, shard) => {
    const connection = await connect({ servers: must(server, "server").url });
    const manager = await connection.jetstreamManager();
    await manager.streams.purge(`patchbay-${runId}`, { filter: `patchbay.${runId}.result.${shard}` });
    await connection.jetstream().publish(`patchbay.${runId}.result.${shard}`, "PBREC1\nnot a record");
    await connection.close();
  },
  start: async () => {
    server = await startNatsServer();
  },
  stop: () => must(server, "server").stop(),
});
