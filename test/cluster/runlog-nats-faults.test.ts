/** @file The JetStream run log while its server is missing, killed, or has a damaged disk. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "nats";
import { afterEach, describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { sha256 } from "../../src/base/hash.js";
import { createRng } from "../../src/base/rng.js";
import { openJetStreamLog } from "../../src/runlog/jetstream-log.js";
import { checkRunLog } from "../../src/runlog/open-run-log.js";
import { bytesOf, envelopeOf } from "../unit/runlog/records.js";
import { startNatsServer, WITHOUT_NATS, type NatsServer } from "./nats-server.js";

const servers: NatsServer[] = [];

async function start(options?: Parameters<typeof startNatsServer>[0]): Promise<NatsServer> {
  const server = await startNatsServer(options);
  servers.push(server);
  return server;
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

const shardOf = (i: number): string => `faults.${String(i).padStart(5, "0")}`;

describe.skipIf(WITHOUT_NATS)("a server that is not usable at the start", () => {
  test("one that does not run is nats_unreachable, with the address and what to do", async () => {
    const server = await start();
    await server.kill();
    const opening = openJetStreamLog(server.url, "run");
    await expect(opening).rejects.toMatchObject({ code: "nats_unreachable" });
    await expect(checkRunLog(server.url)).rejects.toMatchObject({ code: "nats_unreachable" });
    await expect(opening).rejects.toThrow(`NATS at ${server.url}: expected a server, got connection refused; start it`);
  });

  test("one without JetStream is nats_unreachable and says so", async () => {
    const server = await start({ jetStream: false });
    const opening = openJetStreamLog(server.url, "run");
    await expect(opening).rejects.toMatchObject({ code: "nats_unreachable" });
    await expect(opening).rejects.toThrow("expected JetStream");
    await expect(checkRunLog(server.url)).rejects.toThrow("expected JetStream");
  });

  test("a check of a good one leaves nothing on it", async () => {
    const server = await start();
    await checkRunLog(server.url);
    const connection = await connect({ servers: server.url });
    const manager = await connection.jetstreamManager();
    expect(await manager.getAccountInfo()).toMatchObject({ streams: 0, storage: 0 });
    await connection.close();
  });

  test("one that wants other credentials is bad input, and the message holds no password", async () => {
    const server = await start({ extra: `authorization { user: someone, password: right }` });
    const wrong = server.url.replace("://", "://someone:wrong@");
    const opening = openJetStreamLog(wrong, "run");
    await expect(opening).rejects.toMatchObject({ code: "bad_input" });
    await expect(opening).rejects.not.toThrow("wrong@");
    const log = await openJetStreamLog(server.url.replace("://", "://someone:right@"), "run");
    expect(await log.list()).toEqual([]);
    await log.close();
  });

  test("a run id that cannot be a subject is refused", async () => {
    const server = await start();
    await expect(openJetStreamLog(server.url, "a.b")).rejects.toMatchObject({ code: "bad_input" });
  });
});

describe.skipIf(WITHOUT_NATS)("a server that dies while a run goes on", () => {
  test("killed in the middle of appends and started again, it keeps every acknowledged record, and the appends go through", async () => {
    const server = await start();
    const log = await openJetStreamLog(server.url, "killed");
    const hashes: string[] = [];
    for (let i = 0; i < 150; i++) {
      const payload = bytesOf(i % 10 === 0 ? 600 * 1024 : 200, shardOf(i));
      const append = log.append(envelopeOf(shardOf(i), payload), payload);
      if (i % 50 === 25) {
        await server.kill();
        await server.restart();
      }
      const outcome = await append;
      // A publish whose acknowledgement was lost is repeated, and then finds itself.
      if (outcome.status === "duplicate") expect(outcome.sha256).toBe(sha256(payload));
      hashes.push(sha256(payload));
    }
    for (const [i, hash] of hashes.entries()) expect((await log.read(shardOf(i)))?.envelope.sha256).toBe(hash);
    expect(await log.list()).toHaveLength(150);
    await log.close();
  });

  test("one that stays away ends an append with nats_unreachable once patience runs out", async () => {
    const server = await start();
    const log = await openJetStreamLog(server.url, "away", { patienceMs: 0 });
    await server.kill();
    const appending = log.append(envelopeOf("faults.00000", bytesOf(10, "x")), bytesOf(10, "x"));
    await expect(appending).rejects.toMatchObject({ code: "nats_unreachable" });
    await log.close();
  });
});

describe.skipIf(WITHOUT_NATS)("damage inside the server", () => {
  test("a record whose frame is lost is corrupt, not shorter", async () => {
    const server = await start();
    const log = await openJetStreamLog(server.url, "frames");
    const payload = Buffer.alloc(2 * 1024 * 1024, "frames");
    await log.append(envelopeOf("faults.00000", payload), payload);
    const connection = await connect({ servers: server.url });
    const manager = await connection.jetstreamManager();
    await manager.streams.purge("patchbay-frames", { filter: "patchbay.frames.frame.faults.00000.1.2" });
    await expect(log.read("faults.00000")).rejects.toMatchObject({ code: "corrupt_record" });
    expect(await log.append(envelopeOf("faults.00000", payload), payload)).toEqual({ status: "accepted" });
    expect(sha256(must(await log.read("faults.00000"), "record").payload)).toBe(sha256(payload));
    await connection.close();
    await log.close();
  });

  test("bits flipped on its disk lose records or are detected; a wrong payload is never returned", async () => {
    const server = await start();
    const rng = createRng(11, "bit flips");
    const payload = bytesOf(3000, "flips");
    const log = await openJetStreamLog(server.url, "flips");
    for (let i = 0; i < 40; i++) await log.append(envelopeOf(shardOf(i), payload), payload);
    await server.kill();
    for (const file of await blocks(server.storage)) {
      const bytes = await readFile(file);
      for (let flip = 0; flip < 10; flip++) {
        const at = rng.int(bytes.length);
        bytes[at] = must(bytes[at], "byte") ^ (1 << rng.int(8));
      }
      await writeFile(file, bytes);
    }
    await server.restart();
    const wholeRecords = async (): Promise<number> => {
      let whole = 0;
      for (let i = 0; i < 40; i++) {
        const record = await log.read(shardOf(i)).catch((thrown: unknown) => {
          expect(thrown).toMatchObject({ code: "corrupt_record" });
          return null;
        });
        if (record !== null) expect(record.envelope).toEqual(envelopeOf(shardOf(i), payload));
        whole += record === null ? 0 : 1;
      }
      return whole;
    };
    const before = await wholeRecords();
    expect(before, "the flips hit something").toBeLessThan(40);
    for (let i = 0; i < 40; i++) await log.append(envelopeOf(shardOf(i), payload), payload);
    expect(await wholeRecords()).toBeGreaterThanOrEqual(before);
    await log.close();
  });
});

/** The server's message block files. */
async function blocks(storage: string): Promise<string[]> {
  const names = await readdir(storage, { recursive: true });
  return names.filter((name) => name.endsWith(".blk")).map((name) => join(storage, name));
}
