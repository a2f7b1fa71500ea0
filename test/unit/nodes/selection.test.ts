import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ABLATED, LIVE, type Intervention } from "../../../src/nodes/intervention.js";
import { countNodes, emptyIntervention } from "../../../src/nodes/node-states.js";
import {
  interventionFromScores,
  KEEPS,
  variantAblatesErrors,
  VARIANTS,
  type CircuitChoice,
} from "../../../src/nodes/selection.js";
import { siteHook } from "../../../src/nodes/site.js";

const POSITIONS = 3;
const sites = [
  { site: "attn_z", layer: 0, dSae: 4 },
  { site: "resid_post", layer: 0, dSae: 2 },
  { site: "mlp_out", layer: 1, dSae: 3 },
  { site: "resid_post", layer: 1, dSae: 2 },
] as const;
const nodesInAll = POSITIONS * (4 + 2 + 3 + 2 + 4);

const score = fc.oneof(fc.constantFrom(0, -0, 0.5, -0.5), fc.double({ min: -1, max: 1, noNaN: true }));
const arrays = (size: (dSae: number) => number): fc.Arbitrary<Map<string, Float64Array>> =>
  fc
    .tuple(...sites.map(({ dSae }) => fc.array(score, { minLength: size(dSae), maxLength: size(dSae) })))
    .map((lists) => new Map(sites.map((at, i) => [siteHook(at), Float64Array.from(lists[i] ?? [])])));

const choices: fc.Arbitrary<CircuitChoice> = fc.record({
  sites: fc.constant(sites),
  positions: fc.constant(POSITIONS),
  scores: fc.record({
    features: arrays((dSae) => POSITIONS * dSae),
    errors: arrays(() => POSITIONS),
    slices: fc.constant(new Map()),
  }),
  threshold: fc.oneof(fc.constantFrom(0, 0.5, -0.5), fc.double({ min: -1, max: 1, noNaN: true })),
  keep: fc.constantFrom(...KEEPS),
  variant: fc.constantFrom(...VARIANTS),
  exemptLayers: fc.integer({ min: 0, max: 2 }),
});

function stateOf(intervention: Intervention, hook: string, part: "features" | "errors", index: number): number {
  return intervention.get(hook)?.[part][index] ?? LIVE;
}

describe("a circuit chosen by scores", () => {
  it("ablates each node in the circuit or in the complement, and in both exactly where the variant drops errors", () => {
    fc.assert(
      fc.property(choices, (choice) => {
        const { circuit, complement } = interventionFromScores(choice);
        for (const at of sites) {
          const hook = siteHook(at);
          const exempt = at.layer < choice.exemptLayers;
          for (let i = 0; i < POSITIONS * at.dSae; i++) {
            const states = [stateOf(circuit, hook, "features", i), stateOf(complement, hook, "features", i)];
            expect(states.sort()).toEqual(exempt ? [LIVE, LIVE] : [LIVE, ABLATED]);
          }
          for (let t = 0; t < POSITIONS; t++) {
            const states = [stateOf(circuit, hook, "errors", t), stateOf(complement, hook, "errors", t)];
            const dropped = variantAblatesErrors(choice.variant, at.site);
            expect(states.sort()).toEqual(exempt ? [LIVE, LIVE] : dropped ? [ABLATED, ABLATED] : [LIVE, ABLATED]);
          }
        }
      }),
    );
  });

  it("counts what is left live, before and after the exemption", () => {
    fc.assert(
      fc.property(choices, (choice) => {
        const { circuit, notAblated } = interventionFromScores(choice);
        const { nFeatures, nErrorsResid, nErrorsOther } = notAblated;
        expect(nFeatures + nErrorsResid + nErrorsOther).toBe(nodesInAll - countNodes(circuit, ABLATED));
        const { counts } = interventionFromScores({ ...choice, exemptLayers: 0 });
        expect(interventionFromScores(choice).counts).toEqual(counts);
        if (choice.exemptLayers === 0) expect(notAblated).toEqual(counts);
      }),
    );
  });

  it("keeps a score of exactly zero, of either sign, at threshold zero", () => {
    const features = new Map(sites.map((at) => [siteHook(at), new Float32Array(POSITIONS * at.dSae).fill(-0)]));
    const errors = new Map(sites.map((at) => [siteHook(at), new Float32Array(POSITIONS)]));
    const base = {
      sites,
      positions: POSITIONS,
      scores: { features, errors, slices: new Map() },
      threshold: 0,
      exemptLayers: 0,
    };
    for (const keep of KEEPS) {
      const { circuit, complement } = interventionFromScores({ ...base, keep, variant: "all" });
      expect(circuit.size).toBe(0);
      expect(countNodes(complement, ABLATED)).toBe(nodesInAll);
    }
  });

  it("lets signed and absolute differ on strong negative scores only", () => {
    const features = new Map(sites.map((at) => [siteHook(at), new Float32Array(POSITIONS * at.dSae).fill(-0.5)]));
    const errors = new Map(sites.map((at) => [siteHook(at), new Float32Array(POSITIONS).fill(0.5)]));
    const base = {
      sites,
      positions: POSITIONS,
      scores: { features, errors, slices: new Map() },
      threshold: 0.25,
      exemptLayers: 0,
    };
    const kept = (keep: "signed" | "absolute"): number =>
      interventionFromScores({ ...base, keep, variant: "all" }).counts.nFeatures;
    expect([kept("signed"), kept("absolute")]).toEqual([0, POSITIONS * 11]);
  });

  it("reads scores of longer prompts by position", () => {
    const features = new Map(sites.map((at) => [siteHook(at), new Float32Array(9 * at.dSae).fill(1, 0, at.dSae)]));
    const errors = new Map(sites.map((at) => [siteHook(at), new Float32Array(9)]));
    const scores = { features, errors, slices: new Map() };
    const base = { sites, positions: POSITIONS, scores, threshold: 0.5, keep: "signed", exemptLayers: 0 } as const;
    expect(interventionFromScores({ ...base, variant: "all" }).counts.nFeatures).toBe(11);
  });

  it("refuses scores that do not cover a site", () => {
    const scores = { features: new Map(), errors: new Map(), slices: new Map() };
    const base = { sites, positions: POSITIONS, scores, threshold: 0, keep: "signed", exemptLayers: 0 } as const;
    expect(() => interventionFromScores({ ...base, variant: "all" })).toThrow("blocks.0.attn.hook_z");
  });
});

describe("a circuit without SAEs", () => {
  const plain = [
    { site: "attn_z", layer: 0, kind: "head", slices: 2 },
    { site: "mlp_out", layer: 0, kind: "site", slices: 1 },
    { site: "attn_z", layer: 1, kind: "site", slices: 1 },
  ] as const;
  const slices = new Map([
    ["blocks.0.attn.hook_z.heads", Float32Array.of(0, 1, -1, 0, 0, 0, 9, 9)],
    ["blocks.0.hook_mlp_out", Float32Array.of(0.6, 0.4, -0.5, 9)],
    ["blocks.1.attn.hook_z", Float32Array.of(0, 0, 1, 9)],
    // What it must not rank by: the whole site's score where heads are the nodes.
    ["blocks.0.attn.hook_z", Float32Array.of(9, 9, 9, 9)],
  ]);
  const scores = { features: new Map(), errors: new Map(), slices };
  const base = { sites: plain, positions: POSITIONS, scores, threshold: 0.5, variant: "all" } as const;

  it("keeps sites and heads by their own scores, and ablates the rest", () => {
    const { circuit, complement, counts, notAblated } = interventionFromScores({
      ...base,
      keep: "absolute",
      exemptLayers: 0,
    });
    const kept = (intervention: Intervention, hook: string): number[] => [...(intervention.get(hook)?.slices ?? [])];
    expect(kept(circuit, "blocks.0.attn.hook_z")).toEqual([ABLATED, LIVE, LIVE, ABLATED, ABLATED, ABLATED]);
    expect(kept(complement, "blocks.0.attn.hook_z")).toEqual([LIVE, ABLATED, ABLATED, LIVE, LIVE, LIVE]);
    expect(kept(circuit, "blocks.0.hook_mlp_out")).toEqual([LIVE, ABLATED, LIVE]);
    expect(kept(circuit, "blocks.1.attn.hook_z")).toEqual([ABLATED, ABLATED, LIVE]);
    expect(counts).toEqual({ nFeatures: 0, nErrorsResid: 0, nErrorsOther: 0, nSites: 3, nHeads: 2, nNeurons: 0 });
    expect(notAblated).toEqual(counts);
  });

  it("counts the nodes of exempted layers as not ablated", () => {
    const { notAblated } = interventionFromScores({ ...base, keep: "signed", exemptLayers: 1 });
    expect(notAblated).toMatchObject({ nSites: 3 + 1, nHeads: 6, nNeurons: 0 });
  });
});

describe("the empty circuit", () => {
  it("ablates every node outside the exempted layers", () => {
    expect(countNodes(emptyIntervention(sites, POSITIONS), ABLATED)).toBe(nodesInAll);
    const exempt = emptyIntervention(sites, POSITIONS, 1);
    expect([...exempt.keys()]).toEqual(["blocks.1.hook_mlp_out", "blocks.1.hook_resid_post"]);
    expect(emptyIntervention(sites, POSITIONS, 2).size).toBe(0);
  });
});
