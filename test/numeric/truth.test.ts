import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { GLOBAL_POSITION, hookOf, type Node } from "../../src/circuit/node.js";
import { nodeHook, type NodeKind } from "../../src/circuit/site.js";
import type { SplicedModel } from "../../src/attribution/spliced-model.js";
import { computeTruth } from "../../src/attribution/truth.js";
import type { TruthResult } from "../../src/attribution/results.js";
import { goldenArrays, goldenPrompts, goldenSpliced } from "./golden.js";
import { GOLDEN_LENGTH as T, GOLDEN_SITES, GOLDEN_WIDTH as F } from "./golden-sites.js";

const prompts = goldenPrompts("pairs");
const positions = Array.from({ length: T }, (_, t) => t);

function nodesAt(kind: NodeKind, at: readonly number[], pick: Partial<Node> = {}): Node[] {
  return GOLDEN_SITES.flatMap(({ site, layer }) =>
    at.map((position) => ({ kind, site, layer, position, feature: -1, head: -1, ...pick })),
  );
}

/** Effects by prompt, `[P, S]`. */
function effects({ metricPatched, metricClean }: TruthResult): Float64Array {
  const S = metricPatched.length / metricClean.length;
  return metricPatched.map((metric, i) => metric - must(metricClean[Math.floor(i / S)], "metric"));
}

let spliced: SplicedModel;
beforeAll(async () => {
  spliced = await goldenSpliced();
});
afterAll(() => {
  spliced.dispose();
});

describe("true patching, against the reference", () => {
  it("of every error node, at each position and at all at once", async () => {
    const expected = await goldenArrays("truth-errors");
    const nodes = [...nodesAt("error", positions), ...nodesAt("error", [GLOBAL_POSITION])];
    const result = await computeTruth(spliced, prompts, "max", nodes, 64);
    const all = effects(result);
    const column = (slot: number): Float64Array =>
      prompts.reduce(
        (values, _, p) => values.fill(all[p * nodes.length + slot] ?? NaN, p, p + 1),
        new Float64Array(prompts.length),
      );
    for (const [slot, node] of nodes.entries()) {
      const key = hookOf(node);
      if (node.position === GLOBAL_POSITION) expect(column(slot)).toBeAllclose(expected.get(`${key}.global_effect`));
      else
        expect(column(slot)).toBeAllclose(
          prompts.map((_, p) => must(expected.get(`${key}.effect`)[p * T + node.position], "effect")),
        );
    }
  });

  it("of every feature node, for the first five pairs", async () => {
    const expected = await goldenArrays("truth-features");
    const features = Array.from({ length: F }, (_, feature) => feature);
    for (const { site, layer } of GOLDEN_SITES) {
      const nodes = positions.flatMap((position) =>
        features.map((feature): Node => ({ kind: "feature", site, layer, position, feature, head: -1 })),
      );
      const result = await computeTruth(spliced, prompts.slice(0, 5), "max", nodes, 256);
      expect(effects(result)).toBeAllclose(expected.get(`${nodeHook({ site, layer }, "feature")}.effect`));
    }
  });
});
