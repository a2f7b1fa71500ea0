/** @file Block shapes from a memory budget. */
import { expect, it } from "vitest";
import { blocksFor, DEFAULT_BLOCK_MIB } from "../../../src/plan/blocks.js";
import { readModelConfig } from "../../../src/families/read-config.js";

const LIKE_9B = { nLayers: 42, dModel: 3584, nHeads: 16, nKvHeads: 8, headDim: 256, dMlp: 14_336 };

it("the unpatched runs of a large model leave room for patched rows: its layers are not read again for each of them", () => {
  const config = { ...readModelConfig("test/fixtures/tiny-a/model"), ...LIKE_9B };
  const { prompts, truthRows } = blocksFor({ config, dSae: 16_384, positions: 7 }, DEFAULT_BLOCK_MIB);
  expect(prompts).toBeGreaterThanOrEqual(8);
  expect(truthRows).toBeGreaterThanOrEqual(48);
});
