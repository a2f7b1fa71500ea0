import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import type { NodeKind } from "../../src/nodes/kinds.js";
import {
  GLOBAL_POSITION,
  hookOf,
  type Node,
  nodeAt,
  nodeHook,
  type NodePosition,
  parseNodeHook,
} from "../../src/nodes/node.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { computeTruth } from "../../src/experiments/truth/truth.js";
import { goldenArrays, goldenJson, goldenPrompts, goldenSpliced } from "./golden.js";
import { GOLDEN_LENGTH as T, GOLDEN_SITES, GOLDEN_WIDTH as F } from "./golden-sites.js";
import type { TruthResult } from "../../src/experiments/truth/payload.js";

const prompts = goldenPrompts("pairs");
const positions = Array.from({ length: T }, (_, t) => t);

function nodesAt(kind: NodeKind, at: readonly NodePosition[]): Node[] {
  return GOLDEN_SITES.flatMap((place) => at.map((position) => nodeAt(kind, { ...place, position }, 0)));
}

/** Effects of one slot by prompt. */
function effects({ metricPatched, metricClean }: TruthResult, slot: number): number[] {
  const S = metricPatched.length / metricClean.length;
  return Array.from(metricClean, (clean, p) => must(metricPatched[p * S + slot], "metric") - clean);
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Mean effect in units of the mean effect of the whole prompt. */
function normalised({ metricClean, metricCorrupted }: TruthResult, effect: readonly number[]): number {
  return mean(effect) / mean(Array.from(metricClean, (clean, p) => must(metricCorrupted[p], "metric") - clean));
}

let spliced: SplicedModel;
beforeAll(async () => {
  spliced = await goldenSpliced();
});
afterAll(() => {
  spliced.dispose();
});

describe("true patching agrees with the reference", () => {
  it("for every error node, at each position and at all at once", async () => {
    const expected = await goldenArrays("truth-errors");
    const nodes = [...nodesAt("error", positions), ...nodesAt("error", [GLOBAL_POSITION])];
    const result = await computeTruth(spliced, prompts, "max", nodes, 64);
    for (const [slot, node] of nodes.entries()) {
      const key = hookOf(node);
      const actual = effects(result, slot);
      if (node.position === GLOBAL_POSITION) expect(actual).toBeAllclose(expected.get(`${key}.global_effect`));
      else {
        const { position } = node;
        const at = (name: string): number[] => [must(expected.get(`${key}.${name}`)[position], name)];
        const column = expected.get(`${key}.effect`).filter((_, i) => i % T === position);
        expect(actual).toBeAllclose(column);
        expect([mean(actual)]).toBeAllclose(at("effect_mean"));
        expect([normalised(result, actual)]).toBeAllclose(at("normalised"));
      }
    }
  });

  it("for every feature node, prompt by prompt and on average", async () => {
    const expected = await goldenArrays("truth-features");
    for (const { site, layer } of GOLDEN_SITES) {
      const nodes = Array.from({ length: T * F }, (_, i): Node => {
        return { kind: "feature", site, layer, position: Math.floor(i / F), feature: i % F };
      });
      const result = await computeTruth(spliced, prompts, "max", nodes, 512);
      const all = nodes.map((_, slot) => effects(result, slot));
      const key = nodeHook({ site, layer }, "feature");
      const firstFive = Array.from({ length: 5 }, (_, p) => all.map((effect) => must(effect[p], "effect"))).flat();
      expect(firstFive).toBeAllclose(expected.get(`${key}.effect`));
      expect(all.map(mean)).toBeAllclose(expected.get(`${key}.effect_mean`));
    }
  });

  it("for sampled features of every band, in one call", async () => {
    const sample = goldenJson("truth-sample") as {
      hook: string;
      position: number;
      feature: number;
      effect: number[];
    }[];
    const nodes = sample.map(({ hook, position, feature }): Node => {
      const at = must(parseNodeHook(hook), hook);
      return nodeAt(at.kind, { ...at, position }, feature);
    });
    const result = await computeTruth(spliced, prompts, "max", nodes, 200);
    const actual = sample.map((_, slot) => effects(result, slot)).flat();
    expect(actual).toBeAllclose(sample.flatMap(({ effect }) => effect));
  });
});
