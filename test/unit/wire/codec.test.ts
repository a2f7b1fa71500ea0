import fc from "fast-check";
import { expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { PatchbayError } from "../../../src/base/errors.js";
import { codecs, type Codec } from "../../../src/wire/codec.js";
import { MAX_MESSAGE_BYTES, PROTOCOL_VERSION } from "../../../src/wire/limits.js";
import type { ClusterStatus, FromCoordinator, FromWorker, Lease } from "../../../src/wire/messages.js";

const lease: Lease = { run: "r", shard: "scores-atp.00012", attempt: 2, id: "1-ab-7", epoch: 1, durationMs: 20_000 };
const environment = {
  code: "0.1.0+ab",
  backend: "wasm",
  device: "cpu",
  threads: 0,
  dtype: "",
  node: "20",
  tfjs: "core 4.22.0",
};
const engine = { phase: "running", shard: "truth.00001", done: 1.5, total: 4, loadSeconds: 0.25 } as const;
const sha256 = "ab".repeat(32);

const FROM_WORKER: FromWorker[] = [
  { kind: "register", protocol: 1, worker: "w", instance: "i", environment, memoryMib: 7, holding: [lease] },
  { kind: "heartbeat", leases: ["1-ab-7"], engine },
  { kind: "heartbeat", leases: [], engine: null },
  { kind: "completed", lease, sha256 },
  { kind: "failed", lease, failure: { code: "non_finite", message: "NaN", file: "", line: 0, field: "layer 3" } },
  { kind: "released", lease: "1-ab-7" },
  { kind: "draining" },
];

const FROM_COORDINATOR: FromCoordinator[] = [
  { kind: "welcome", epoch: 3, heartbeatMs: 1000 },
  { kind: "runOpened", run: "r", planHash: "h", log: "dir:/x", model: "/m", saes: "", saeOptions: "{}", hub: "" },
  { kind: "grant", lease },
  { kind: "revoke", lease: "x", stop: true, reason: "cancelled" },
  { kind: "recall", lease: "x" },
  { kind: "settled", leases: ["x", "y"] },
  { kind: "leave", reason: "" },
];

const status: ClusterStatus = {
  runs: [
    {
      run: "r",
      name: "n",
      planHash: "h",
      folder: "/f",
      state: "partial",
      reason: "1 shard",
      stages: [
        {
          stage: "means",
          state: "reduced",
          reason: "",
          shards: 3,
          done: 2,
          running: 0,
          waiting: 0,
          quarantined: 1,
          engineSeconds: 1.25,
          seconds: 2,
          units: { "prompt rows": 12 },
          freshUnits: {},
          reasons: [{ reason: "quarantined", shards: 1 }],
        },
      ],
      quarantined: [{ shard: "means.00002", code: "out_of_memory", message: "too large", attempts: 2 }],
      warnings: ["careful"],
      seconds: 3.5,
    },
  ],
  workers: [
    { worker: "w", state: "cordoned", reason: "why", environment, leases: 1, engine, completed: 9, memoryMib: 7 },
  ],
};

test("the registration of an earlier release, which says neither node nor tfjs, decodes: its protocol can be refused", () => {
  const register = { kind: "register", protocol: 1, worker: "w", instance: "i", memoryMib: 7, holding: [] } as const;
  const { node: _node, tfjs: _tfjs, ...earlier } = environment;
  const bytes = codecs.fromWorker.encode({ ...register, environment: earlier as typeof environment });
  expect(codecs.fromWorker.decode(bytes)).toMatchObject({
    protocol: 1,
    environment: { ...earlier, node: "", tfjs: "" },
  });
  expect(PROTOCOL_VERSION).toBeGreaterThan(1);
});

test.each(FROM_WORKER)("a worker's $kind comes back as it was", (message) => {
  expect(codecs.fromWorker.decode(codecs.fromWorker.encode(message))).toEqual(message);
});

test.each(FROM_COORDINATOR)("a coordinator's $kind comes back as it was", (message) => {
  expect(codecs.fromCoordinator.decode(codecs.fromCoordinator.encode(message))).toEqual(message);
});

test("status, submission and artifact parts come back as they were", () => {
  expect(codecs.clusterStatus.decode(codecs.clusterStatus.encode(status))).toEqual(status);
  const files = [{ file: "a.yaml", firstLine: 1 }, { file: "b.yaml", firstLine: 3 }]; // prettier-ignore
  const submission = { sweep: "name: x", baseFolder: "/b", allowPartial: true, file: "x.yaml", files, fresh: true };
  expect(codecs.submitRequest.decode(codecs.submitRequest.encode(submission))).toEqual(submission);
  const header = { kind: "header" as const, sha256, size: 2 ** 40 };
  expect(codecs.artifactPart.decode(codecs.artifactPart.encode(header))).toEqual(header);
  const chunk = codecs.artifactPart.decode(codecs.artifactPart.encode({ kind: "chunk", chunk: Buffer.from([1, 2]) }));
  expect(chunk).toMatchObject({ kind: "chunk" });
  expect(chunk.kind === "chunk" && [...chunk.chunk]).toEqual([1, 2]);
});

test("random bytes never get through as anything but a valid message or bad_message", () => {
  const all = Object.values(codecs) as Codec<unknown>[];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 0, max: all.length - 1 }), (bytes, index) => {
      const codec = all[index] as Codec<unknown>;
      try {
        const message = codec.decode(bytes);
        expect(codec.decode(codec.encode(message))).toEqual(message);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(PatchbayError);
        expect((thrown as PatchbayError).code).toBe("bad_message");
      }
    }),
    { numRuns: 3000, seed: 7 },
  );
});

test.each<[string, FromWorker]>([
  ["a shard id that is a path", { kind: "completed", lease: { ...lease, shard: "../x.00001" }, sha256 }],
  ["a hash that is none", { kind: "completed", lease, sha256: "abc" }],
  [
    "an unknown error code",
    { kind: "failed", lease, failure: { code: "odd" as "application", message: "", file: "", line: 0, field: "" } },
  ],
  ["a NaN", { kind: "heartbeat", leases: [], engine: { ...engine, done: Number.NaN } }],
  [
    "an empty worker name",
    { kind: "register", protocol: 1, worker: "", instance: "i", environment, memoryMib: 0, holding: [] },
  ],
])("%s is a bad message", (_what, message) => {
  expect(() => codecs.fromWorker.decode(codecs.fromWorker.encode(message))).toThrow(/FromWorker/);
});

test("texts for people are cut where they are too long, and all else of the message comes back as it was", () => {
  const long = "because ".repeat(15_000);
  const [run] = status.runs;
  const quarantined = Array.from({ length: 200 }, (_, i) => ({
    shard: `truth.${String(i).padStart(5, "0")}`,
    code: "application" as const,
    message: long,
    attempts: 2,
  }));
  const many = { ...must(run, "run"), reason: long, warnings: [long], quarantined };
  const workers = Array.from({ length: 1000 }, (_, i) => ({
    ...must(status.workers[0], "worker"),
    worker: `w${String(i)}`,
    reason: long,
  }));
  const back = codecs.clusterStatus.decode(codecs.clusterStatus.encode({ runs: [many], workers }));
  expect(back.workers.map(({ worker }) => worker)).toEqual(workers.map(({ worker }) => worker));
  expect(back.runs[0]?.quarantined.map(({ shard }) => shard)).toEqual(quarantined.map(({ shard }) => shard));
  const texts = [back.runs[0]?.reason, back.runs[0]?.warnings[0], back.workers[999]?.reason];
  for (const text of texts) expect(text).toMatch(/^because because .*…$/);
});

test("an artifact's name cannot leave its folder", () => {
  const bytes = codecs.fetchRequest.encode({ run: "r", name: "../run.json" });
  expect(() => codecs.fetchRequest.decode(bytes)).toThrow(PatchbayError);
});

test("a message larger than the other side accepts is refused where it is made", () => {
  const chunk = new Uint8Array(MAX_MESSAGE_BYTES + 1);
  expect(() => codecs.artifactPart.encode({ kind: "chunk", chunk })).toThrow(/at most/);
});
