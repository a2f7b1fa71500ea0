/** @file What every run log promises, as one suite that runs on each implementation. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { sha256 } from "../../src/base/hash.js";
import { openRunLog } from "../../src/runlog/open-run-log.js";
import type { RunLog } from "../../src/runlog/run-log.js";
import { bytesOf, envelopeOf } from "../unit/runlog/records.js";

/** How the suite reaches one implementation. */
export interface RunLogKit {
  /** Location of a log that is empty for each new run id. */
  location(runId: string): string;
  /** Skips the suite. */
  readonly leftOut?: boolean;
  /** Damages what is stored for the shard. */
  damage(runId: string, shard: string): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** One outcome that test/cluster/runlog-writer.js reports. */
interface Written {
  readonly shard: string;
  readonly own: string;
  readonly status: "accepted" | "duplicate";
  readonly sha256?: string;
}

const WRITER = fileURLToPath(new URL("runlog-writer.js", import.meta.url));
const MEBIBYTE = 1024 * 1024;
let runs = 0;

/** Registers the suite for one implementation. */
export function describeRunLog(name: string, kit: RunLogKit): void {
  describe.skipIf(kit.leftOut === true)(`run log in ${name}`, () => {
    beforeAll(() => kit.start());
    afterAll(() => kit.stop());
    describeRecords(kit);
    describeDuplicates(kit);
    describeProcesses(kit);
  });
}

function describeRecords(kit: RunLogKit): void {
  test("what was appended is read back, envelope and payload", () =>
    withLog(kit, async (log) => {
      const payload = bytesOf(1000, "small");
      expect(await log.append(envelopeOf("truth.00007", payload), payload)).toEqual({ status: "accepted" });
      const record = must(await log.read("truth.00007"), "record");
      expect(record.envelope).toEqual(envelopeOf("truth.00007", payload));
      expect(sha256(record.payload)).toBe(sha256(payload));
    }));

  test.each([0, 1, 512 * 1024, 3 * MEBIBYTE, 20 * MEBIBYTE + 1])("a payload of %i bytes is kept whole", (size) =>
    withLog(kit, async (log) => {
      const payload = Buffer.alloc(size, bytesOf(4099, String(size)));
      await log.append(envelopeOf("large.00000", payload), payload);
      expect(sha256(must(await log.read("large.00000"), "record").payload)).toBe(sha256(payload));
    }),
  );

  test("a shard without a record reads as null", () =>
    withLog(kit, async (log) => {
      expect(await log.read("truth.00000")).toBeNull();
      expect(await log.list()).toEqual([]);
    }));

  test("the list is ordered by shard, whatever order they came in, and spans stages", () =>
    withLog(kit, async (log) => {
      const shards = ["b.00001", "a.00010", "b.00000", "a.00002"];
      for (const shard of shards) await log.append(envelopeOf(shard, bytesOf(10, shard)), bytesOf(10, shard));
      const listed = await log.list();
      expect(listed.map((envelope) => envelope.shard)).toEqual([...shards].sort());
      expect(listed[0]).toEqual(envelopeOf("a.00002", bytesOf(10, "a.00002")));
    }));

  test("a log opened again holds what was acknowledged", async () => {
    const runId = nextRun();
    for (let opened = 0; opened < 3; opened++) {
      const log = await openRunLog(kit.location(runId), runId);
      const shard = `scores.${String(opened)}`;
      await log.append(envelopeOf(shard, bytesOf(64, shard)), bytesOf(64, shard));
      expect(await log.list()).toHaveLength(opened + 1);
      await log.close();
    }
  });

  test("an envelope whose hash is not the payload's is refused and leaves nothing", () =>
    withLog(kit, async (log) => {
      const wrong = envelopeOf("truth.00000", bytesOf(10, "one"));
      await expect(log.append(wrong, bytesOf(10, "two"))).rejects.toMatchObject({ code: "corrupt_record" });
      expect(await log.read("truth.00000")).toBeNull();
    }));

  test("a shard id that could leave the log is refused", () =>
    withLog(kit, async (log) => {
      for (const shard of ["../../etc.0", "a/b.0", "a.*", ">.0", "a", ""]) {
        await expect(log.read(shard)).rejects.toMatchObject({ code: "bad_message" });
      }
    }));

  test("another run's records are not seen", () =>
    withLog(kit, async (log) => {
      await withLog(kit, async (other) => {
        await other.append(envelopeOf("truth.00000", bytesOf(5, "x")), bytesOf(5, "x"));
      });
      expect(await log.list()).toEqual([]);
    }));
}

function describeDuplicates(kit: RunLogKit): void {
  test.each([100, 3 * MEBIBYTE])("a late equal record of %i bytes is a duplicate with the same hash", (size) =>
    withLog(kit, async (log) => {
      const payload = Buffer.alloc(size, "equal");
      await log.append(envelopeOf("truth.00000", payload, "first"), payload);
      const outcome = await log.append(envelopeOf("truth.00000", payload, "second"), payload);
      expect(outcome).toEqual({ status: "duplicate", sha256: sha256(payload) });
      expect((await log.read("truth.00000"))?.envelope.worker).toBe("first");
    }),
  );

  test.each([100, 3 * MEBIBYTE])(
    "a late different record of %i bytes reports the winner's hash and changes nothing",
    (size) =>
      withLog(kit, async (log) => {
        const [first, second] = [Buffer.alloc(size, "first"), Buffer.alloc(size, "second")];
        await log.append(envelopeOf("truth.00000", first), first);
        const outcome = await log.append(envelopeOf("truth.00000", second), second);
        expect(outcome).toEqual({ status: "duplicate", sha256: sha256(first) });
        expect(sha256(must(await log.read("truth.00000"), "record").payload)).toBe(sha256(first));
      }),
  );

  test("of many appends at once in one process exactly one is accepted", () =>
    withLog(kit, async (log) => {
      const payloads = Array.from({ length: 20 }, (_none, i) => bytesOf(50, `writer ${String(i)}`));
      const outcomes = await Promise.all(payloads.map((payload) => log.append(envelopeOf("t.0", payload), payload)));
      const winner = outcomes.findIndex((outcome) => outcome.status === "accepted");
      const hash = sha256(must(payloads[winner], "winner"));
      const rest = outcomes.filter((_outcome, i) => i !== winner);
      expect(rest).toEqual(rest.map(() => ({ status: "duplicate", sha256: hash })));
      expect((await log.read("t.0"))?.envelope.sha256).toBe(hash);
    }));

  test("a damaged record is reported, and replaced when the shard is appended again", async () => {
    const runId = nextRun();
    const log = await openRunLog(kit.location(runId), runId);
    const payload = bytesOf(2000, "healed");
    await log.append(envelopeOf("truth.00000", payload), payload);
    await log.append(envelopeOf("truth.00001", payload), payload);
    await kit.damage(runId, "truth.00000");
    await expect(log.read("truth.00000")).rejects.toMatchObject({ code: "corrupt_record", retryable: false });
    expect(await log.append(envelopeOf("truth.00000", payload), payload)).toEqual({ status: "accepted" });
    expect(sha256(must(await log.read("truth.00000"), "record").payload)).toBe(sha256(payload));
    expect(await log.list()).toHaveLength(2);
    await log.close();
  });

  test("a record copied to another log is the same record, and copying it twice changes nothing", () =>
    withLog(kit, async (from) => {
      await withLog(kit, async (to) => {
        const payload = Buffer.alloc(MEBIBYTE, "mirror");
        await from.append(envelopeOf("truth.00000", payload), payload);
        const record = must(await from.read("truth.00000"), "record");
        expect(await to.append(record.envelope, record.payload)).toEqual({ status: "accepted" });
        expect(await to.append(record.envelope, record.payload)).toMatchObject({
          status: "duplicate",
          sha256: sha256(payload),
        });
        const copy = must(await to.read("truth.00000"), "copy");
        expect(copy.envelope).toEqual(envelopeOf("truth.00000", payload));
        expect(sha256(copy.payload)).toBe(sha256(payload));
      });
    }));
}

function describeProcesses(kit: RunLogKit): void {
  test.each([
    [60, 300],
    [6, 2 * MEBIBYTE],
  ])(
    "two processes that race for %i shards of %i bytes never both win, and agree on the winner",
    async (count, size) => {
      const runId = nextRun();
      const writers = await Promise.all(["one", "two"].map((worker) => startWriter(kit, runId, worker, count, size)));
      const done = writers.map((writer) => collect(writer, () => false));
      for (const writer of writers) writer.send("go");
      const [one, two] = await Promise.all(done);
      const log = await openRunLog(kit.location(runId), runId);
      for (const [i, mine] of must(one, "first writer").entries()) {
        const theirs = must(must(two, "second writer")[i], "outcome");
        expect([mine.status, theirs.status].sort()).toEqual(["accepted", "duplicate"]);
        const [winner, loser] = mine.status === "accepted" ? [mine, theirs] : [theirs, mine];
        expect(loser.sha256).toBe(winner.own);
        expect(sha256(must(await log.read(winner.shard), "record").payload)).toBe(winner.own);
      }
      expect(await log.list()).toHaveLength(count);
      await log.close();
    },
  );

  test.each([300, 700 * 1024])(
    "a writer of %i bytes killed at any moment loses nothing acknowledged and leaves nothing torn",
    async (size) => {
      const runId = nextRun();
      const acknowledged = new Map<string, string>();
      for (const quota of [1, 5, 17]) {
        const writer = await startWriter(kit, runId, `until ${String(quota)}`, 0, size);
        const written = collect(writer, (seen) => seen.filter(({ status }) => status === "accepted").length >= quota);
        writer.send("go");
        for (const { shard, own, status } of await written) if (status === "accepted") acknowledged.set(shard, own);
      }
      const log = await openRunLog(kit.location(runId), runId);
      for (const [shard, hash] of acknowledged) expect((await log.read(shard))?.envelope.sha256).toBe(hash);
      for (const { shard } of await log.list()) expect(await log.read(shard)).not.toBeNull();
      await log.close();
    },
  );
}

/** Starts a writer process, ready to go. */
async function startWriter(
  kit: RunLogKit,
  runId: string,
  worker: string,
  count: number,
  size: number,
): Promise<ChildProcess> {
  const args = [kit.location(runId), runId, worker, String(count), String(size)];
  const writer = fork(WRITER, args, { serialization: "json" });
  const [first] = (await once(writer, "message")) as [unknown];
  expect(first, "the first message of the writer").toBe("ready");
  return writer;
}

/** Outcomes of a writer until its end; it is killed as soon as `enough` says so. */
async function collect(writer: ChildProcess, enough: (seen: readonly Written[]) => boolean): Promise<Written[]> {
  const seen: Written[] = [];
  writer.on("message", (message) => {
    if (typeof message !== "object") return;
    seen.push(message as unknown as Written);
    if (enough(seen)) writer.kill("SIGKILL");
  });
  await once(writer, "close");
  return seen;
}

function nextRun(): string {
  runs += 1;
  return `conformance-${String(process.pid)}-${String(runs)}`;
}

async function withLog(kit: RunLogKit, use: (log: RunLog) => Promise<void>): Promise<void> {
  const runId = nextRun();
  const log = await openRunLog(kit.location(runId), runId);
  try {
    await use(log);
  } finally {
    await log.close();
  }
}
