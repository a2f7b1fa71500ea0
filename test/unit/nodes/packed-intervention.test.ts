/** @file Interventions kept short. */
import { expect, it } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { ABLATED, type Intervention, LIVE, RESTORED } from "../../../src/nodes/intervention.js";
import { packed, unpacked } from "../../../src/nodes/packed-intervention.js";

const rng = createRng(0, "packed interventions");

/** States of which a share is not the first one's. */
function states(length: number, base: number, share: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) =>
    i > 0 && rng.uniform() < share ? ([LIVE, ABLATED, RESTORED][i % 3] ?? 0) : base,
  );
}

it("comes back as it was, in arrays of its own", () => {
  for (const share of [0, 0.001, 0.1, 0.5, 1])
    for (const base of [LIVE, ABLATED, RESTORED]) {
      const site = { features: states(3000, base, share), errors: states(7, base, share), slices: new Uint8Array(0) };
      const parts = { linear: states(7, LIVE, share), nonlinear: states(7, base, share) };
      const intervention: Intervention = new Map([
        ["blocks.0.hook_resid_post", site],
        ["blocks.1.hook_mlp_out", { ...site, ...parts }],
      ]);
      const small = packed(intervention);
      const again = unpacked(small);
      expect(again).toEqual(intervention);
      again.get("blocks.0.hook_resid_post")?.features.fill(ABLATED);
      expect(unpacked(small)).toEqual(intervention);
    }
});

it("takes room for the nodes that differ, and never more than the nodes take", () => {
  const features = new Uint8Array(100_000).fill(ABLATED);
  features[12_345] = LIVE;
  const site = { features, errors: new Uint8Array(7), slices: new Uint8Array(0) };
  expect(packed(new Map([["blocks.0.hook_resid_post", site]])).bytes).toBe(5);
  const mixed = { ...site, features: states(100_000, LIVE, 0.9) };
  expect(packed(new Map([["blocks.0.hook_resid_post", mixed]])).bytes).toBe(100_000);
});
