import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { decodeHead, encodeHead, HEAD_LIMIT, verifyRecord } from "../../../src/runlog/record-codec.js";
import type { RecordEnvelope } from "../../../src/runlog/run-log.js";
import { bytesOf, envelopeOf } from "./records.js";

const payload = bytesOf(500, "payload");
const record = Buffer.concat([encodeHead(envelopeOf("truth.00001", payload), "inline"), payload]);

const readBack = (bytes: Uint8Array): unknown => {
  const { envelope, body, form } = decodeHead(bytes, "a record");
  expect(form).toBe("inline");
  return verifyRecord(envelope, body, "truth.00001", "a record");
};

describe("record bytes", () => {
  test("envelope and payload come back as they were", () => {
    expect(readBack(record)).toEqual({ envelope: envelopeOf("truth.00001", payload), payload: Buffer.from(payload) });
  });

  test("equal records have equal bytes, whatever the order of the envelope's fields", () => {
    const envelope = envelopeOf("truth.00001", payload);
    const reversed = Object.fromEntries(Object.entries(envelope).reverse()) as unknown as RecordEnvelope;
    expect(encodeHead(reversed, "inline")).toEqual(encodeHead(envelope, "inline"));
  });

  test("every single flipped bit is detected", () => {
    for (let bit = 0; bit < record.length * 8; bit++) {
      const flipped = Buffer.from(record);
      const at = bit >> 3;
      flipped[at] = must(flipped[at], "byte") ^ (1 << (bit & 7));
      expect(() => readBack(flipped), `bit ${String(bit)}`).toThrow("the shard has to run again");
    }
  });

  test("every truncation and every longer record is detected", () => {
    for (let length = 0; length < record.length; length++) {
      expect(() => readBack(record.subarray(0, length))).toThrow("the shard has to run again");
    }
    expect(() => readBack(Buffer.concat([record, Buffer.from([0])]))).toThrow("the shard has to run again");
  });

  test("arbitrary bytes are corrupt_record, never another error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, asRecord) => {
        const input = asRecord ? Buffer.concat([record.subarray(0, 7), bytes]) : bytes;
        expect(() => decodeHead(input, "noise")).toThrow(expect.objectContaining({ code: "corrupt_record" }) as Error);
      }),
    );
  });

  test("the head says all that a list needs", () => {
    expect(decodeHead(record.subarray(0, record.length - payload.length), "head").envelope.count).toBe(8);
    expect(record.length - payload.length).toBeLessThan(HEAD_LIMIT);
  });

  test("the record of another shard is refused", () => {
    const { envelope, body } = decodeHead(record, "a record");
    expect(() => verifyRecord(envelope, body, "truth.00002", "a record")).toThrow(
      "expected shard truth.00002, got truth.00001",
    );
  });

  test.each([
    ["shard", "nostage"],
    ["sha256", "abc"],
    ["count", -1],
    ["count", 1.5],
    ["seconds", Number.NaN],
    ["version", 2],
    ["extra", 1],
  ])("an envelope with %s %j cannot be written", (field, value) => {
    const envelope = { ...envelopeOf("truth.00001", payload), [field]: value } as RecordEnvelope;
    expect(() => encodeHead(envelope, "inline")).toThrow("invalid envelope");
  });
});
