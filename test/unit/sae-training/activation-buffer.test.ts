/** @file The buffer of activations: which tokens leave a row, and which activation that row is. */
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SaeSiteAt } from "../../../src/nodes/site.js";
import { runLayer, startBlock } from "../../../src/model/forward.js";
import { loadModel, type Model } from "../../../src/model/model.js";
import { createBuffer } from "../../../src/sae-training/activation-buffer.js";
import { openCheckpoint, type Checkpoint } from "../../../src/weights/checkpoint.js";
import { startBackend } from "../../../src/backends/start-backend.js";

const [BOS, PAD] = [2, 0];
const RESID: SaeSiteAt = { site: "resid_post", layer: 1 };
const ATTN: SaeSiteAt = { site: "attn_z", layer: 0 };

let checkpoint: Checkpoint;
let model: Model;
beforeAll(async () => {
  await startBackend("wasm");
  checkpoint = await openCheckpoint(fileURLToPath(new URL("../../../data/tiny-gemma2", import.meta.url)));
  model = await loadModel(checkpoint);
});
afterAll(async () => {
  model.dispose();
  await checkpoint.close();
});

/** The activation of one token of a sequence, from a run of that sequence alone. */
async function activation({ site, layer }: SaeSiteAt, sequence: readonly number[], token: number): Promise<number[]> {
  const { resid_RD, frame } = await startBlock(model, [sequence]);
  let current = resid_RD;
  for (let i = 0; i < layer; i++) current = runLayer(model, i, { resid_RD: current, frame }).resid_post;
  const found = runLayer(model, layer, { resid_RD: current, frame })[site];
  const [row] = tf.split(found, sequence.length).slice(token);
  return [...(row?.dataSync<"float32">() ?? [])];
}

describe("a buffer of activations", () => {
  it("has a row for each token but BOS and padding, in the text's order, block after block", async () => {
    const [one, two, three] = [
      [BOS, 5, 9, PAD],
      [BOS, 7, PAD, 11],
      [BOS, 13],
    ];
    const buffer = createBuffer(model, [ATTN, RESID], 10, new Set([BOS, PAD]));
    await buffer.fill([
      { sequences: [one, two], rows: 4 },
      { sequences: [three], rows: 1 },
    ]);
    expect(buffer.rows).toBe(5);
    const tokens = [[one, 1], [one, 2], [two, 1], [two, 3], [three, 1]] as const; // prettier-ignore
    for (const at of [ATTN, RESID]) {
      const expected = await Promise.all(tokens.map(([sequence, token]) => activation(at, sequence, token)));
      expect(buffer.all(at)).toBeAllclose(Float32Array.from(expected.flat()), { rtol: 1e-5, atol: 1e-6 });
      expect([...buffer.take(at, Uint32Array.of(4, 0)).dataSync()]).toBeAllclose(
        Float32Array.from([...(expected[4] ?? []), ...(expected[0] ?? [])]),
        { rtol: 1e-5, atol: 1e-6 },
      );
    }
    await buffer.fill([{ sequences: [three], rows: 1 }]);
    expect(buffer.all(RESID)).toHaveLength(model.config.dModel);
  });
});
