/** @file Records for tests of the run log. */
import { sha256 } from "../../../src/base/hash.js";
import { createRng } from "../../../src/base/rng.js";
import type { RecordEnvelope } from "../../../src/runlog/run-log.js";

/** Bytes without a pattern, the same for one label. */
export function bytesOf(length: number, label: string): Uint8Array {
  const rng = createRng(7, label);
  return Uint8Array.from({ length }, () => rng.int(256));
}

/** A valid envelope for the payload. */
export function envelopeOf(shard: string, payload: Uint8Array, worker = "worker-1"): RecordEnvelope {
  return {
    version: 1,
    planHash: "ab".repeat(32),
    shard,
    attempt: 1,
    epoch: 3,
    worker,
    environment: "wasm/1",
    dtype: "float32",
    count: 8,
    sha256: sha256(payload),
    seconds: 0.25,
    units: { "node-prompts": 12 },
  };
}
