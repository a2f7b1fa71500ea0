/** @file The cost model against what the programs really ask of a backend, kernel by kernel. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { computeCircuits } from "../../src/experiments/circuits/circuits.js";
import { computeMeans } from "../../src/experiments/means/means.js";
import { computeScores, wayOf } from "./score-by-name.js";
import { withErrorFits } from "../../src/passes/fitted-model.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { computeTruth } from "../../src/experiments/truth/truth.js";
import { truthBlocks, truthRows } from "../../src/experiments/truth/truth-rows.js";
import { must } from "../../src/base/assert.js";
import { isPartKind } from "../../src/nodes/kinds.js";
import { type Node, nodeAt } from "../../src/nodes/node.js";
import { ABLATED, LIVE, type Intervention } from "../../src/nodes/intervention.js";
import { emptyIntervention, uniformSite } from "../../src/nodes/node-states.js";
import { KINDS } from "../../src/nodes/kinds.js";
import { tokenRows } from "../../src/nodes/token-rows.js";
import { siteHook, sitesOfLayers } from "../../src/nodes/site.js";
import { baseWork, circuitBlockWork, computedRows, type CostSegment } from "../../src/experiments/circuits/work.js";
import { meansWork } from "../../src/experiments/means/work.js";
import { scoresWork } from "../../src/experiments/scores/work.js";
import { blockOfPrompts, type CostModel, type PromptBlock } from "../../src/cost/run-work.js";
import { deltasWork, truthBlockWork, unpatchedWork } from "../../src/experiments/truth/work.js";
import { Work } from "../../src/cost/work.js";
import { circuitBlockSize, promptBlockSize, truthBlockSize, unpatchedSize } from "../../src/plan/memory.js";
import type { ScoreSpec } from "../../src/sweep/sweep.js";
import { goldenPrompts, goldenSpliced } from "./golden.js";
import { countKernels, type KernelCounts } from "./kernel-counts.js";
import { OWN_KERNELS } from "./test-backend.js";

const T = 7;
const ROWS = 64;
const SCORES: ScoreSpec[] = [
  { name: "atp", method: "atp" },
  { name: "zero", method: "zero" },
  { name: "ig", method: "ig", steps: 2 },
];

/** Kinds whose truth is counted. */
const TRUTH_KINDS = ["error", "error_linear", "error_nonlinear", "feature", "neuron"] as const;

describe("the cost model", () => {
  const prompts = goldenPrompts("pairs").slice(0, 8);
  const shape = (): Parameters<typeof promptBlockSize>[0] => ({
    config: model.config,
    dSae: 128,
    positions: T,
    ownKernels: model.ownKernels,
  });
  let spliced: SplicedModel;
  let model: CostModel;
  let block: PromptBlock;
  beforeAll(async () => {
    spliced = await goldenSpliced();
    const saes = spliced.saes.map(({ site, layer, sae }) => ({
      site,
      layer,
      dIn: sae.now().dIn,
      dSae: sae.now().dSae,
    }));
    model = { config: spliced.model.config, saes, valueBytes: 4, ownKernels: OWN_KERNELS };
    block = blockOfPrompts(prompts);
  });
  afterAll(() => {
    spliced.dispose();
  });

  /** The model with fits that are on the device already. */
  async function withFits(): Promise<SplicedModel> {
    const widths = new Map(spliced.saes.map(({ sae, ...at }) => [siteHook(at), sae.now().dIn]));
    const fitted = withErrorFits(spliced, (at) => {
      const D = must(widths.get(siteHook(at)), "width");
      return Promise.resolve({ A: new Float32Array(D * D).fill(0.01), b: new Float32Array(D) });
    });
    await fitted.model.pool.fill();
    return fitted;
  }

  /** Products are counted to a few per cent; bytes and calls of other kernels nearly so (tensorflow makes two of some). */
  function expectCounted(work: Work, counted: KernelCounts): void {
    const flops = Object.values(work.flops()).reduce((a, b) => a + b, 0);
    const host = work.traffic.host;
    expect(flops / counted.flops, "operations in products").toBeCloseTo(1, 1);
    expect((work.bytes() - host) / counted.bytes, "bytes").toBeGreaterThan(0.75);
    expect((work.bytes() - host) / counted.bytes, "bytes").toBeLessThan(1.35);
    expect(work.calls / counted.calls, "calls").toBeGreaterThan(0.7);
    expect(work.calls / counted.calls, "calls").toBeLessThan(1.4);
  }

  /** Hardly more than predicted, nor much less: the formulas are made for wide models, where attention is a small part. */
  function expectAlive(counted: KernelCounts, predicted: number): void {
    expect(counted.peakBytes / 4 / predicted).toBeLessThan(1.45);
    expect(counted.peakBytes / 4 / predicted).toBeGreaterThan(0.4);
  }

  it("counts what means take, equal rows once", async () => {
    expect(block.shared.all).toBeLessThan(2 * prompts.length * T);
    const counted = await countKernels(() => computeMeans(spliced, prompts, "max"));
    expectCounted(meansWork(model, block), counted);
    const apart = await countKernels(() => computeMeans(spliced, prompts, "max", { share: false }));
    expectCounted(meansWork(model, { ...block, shared: { clean: null, all: null } }), apart);
    const withNeurons = await countKernels(() => computeMeans(spliced, prompts, "max", { neurons: true }));
    expectCounted(meansWork(model, block, true), withNeurons);
  });

  it.each(SCORES)("counts what $method scores of neurons take", async ({ name, method }) => {
    const score = { name, method, steps: 4, neurons: true };
    const counted = await countKernels(() => computeScores(spliced, prompts, "max", score));
    expectCounted(scoresWork(model, block, wayOf(score)), counted);
  });

  it.each(SCORES)("counts what $method scores take", async (score) => {
    const counted = await countKernels(() => computeScores(spliced, prompts, "max", score));
    expectCounted(scoresWork(model, block, wayOf(score)), counted);
    if (score.method !== "atp") return;
    const { dModel: D, dMlp: M, nHeads: N, nKvHeads: K, headDim: H } = model.config;
    const transposed = 3 * D * M + 2 * D * H * (N + K); // A layer's weights, which block sizes leave out.
    expectAlive(counted, promptBlockSize(shape(), prompts.length) + transposed);
  });

  it.each(SCORES)("counts what $method scores take where errors are split", async (score) => {
    const fitted = await withFits();
    const counted = await countKernels(() => computeScores(fitted, prompts, "max", score));
    expectCounted(scoresWork(model, block, wayOf(score), true), counted);
  });

  it.each([
    ...TRUTH_KINDS.map((kind) => [kind, "corrupted"] as const),
    ...TRUTH_KINDS.map((kind) => [kind, "zero"] as const),
  ])("counts what true patching of %s nodes takes, donor %s", async (kind, donor) => {
    const fitted = isPartKind(kind) ? await withFits() : spliced;
    const indexes = KINDS[kind].index === null ? [-1] : [3, 40, 77];
    const nodes: Node[] = sitesOfLayers(KINDS[kind].sites, 4).flatMap((at) =>
      indexes.flatMap((index) => Array.from({ length: T }, (_, position) => nodeAt(kind, { ...at, position }, index))),
    );
    let ran: Uint8Array = new Uint8Array();
    const counted = await countKernels(async () => {
      ran = (await computeTruth(fitted, prompts, "max", nodes, ROWS, { donor: { kind: donor } })).ran;
    });
    const size = { prompts: prompts.length, positions: T, nLayers: 4 };
    const rows = truthRows(nodes, size, (slot, row) => ran[Math.floor(row / T) * nodes.length + slot] === 1, donor);
    expect(rows).toHaveLength(ran.reduce((sum, one) => sum + one, 0));
    const work = unpatchedWork(model, block);
    work.add(deltasWork(model, block, nodes, donor));
    for (const one of truthBlocks(rows, size, ROWS)) work.add(truthBlockWork(model, block, one));
    expectCounted(work, counted);
    expectAlive(counted, unpatchedSize(shape(), prompts.length) + truthBlockSize(shape(), ROWS));
  });

  /** Evaluations of all prompts, with what is computed of each from a position on. */
  function countedRows(segments: readonly CostSegment[], start = 0): CostSegment[] {
    const trie = tokenRows([...prompts.map(({ clean }) => clean), ...prompts.map(({ corrupted }) => corrupted ?? [])]);
    const listed = segments.map(({ rows: count }, evaluation) => ({ evaluation, start: 0, count }));
    const computed = computedRows(trie, listed, { start, positions: T });
    expect(computed.some((one) => one !== undefined)).toBe(start === 0);
    return segments.map((segment, i) => {
      const own = computed[i];
      return own === undefined ? segment : { ...segment, computed: own };
    });
  }

  it("counts what circuits take", async () => {
    const sites = spliced.saes.map((at) => ({ ...at, dSae: 128 }));
    const keepsOne: Intervention = new Map(
      sites.map((at) => {
        const features = Uint8Array.from({ length: T * 128 }, (_, i) => (i % 128 === 0 ? LIVE : ABLATED));
        return [siteHook(at), { ...uniformSite(at, T, ABLATED), features }];
      }),
    );
    const interventions = [new Map(), emptyIntervention(sites, T, 0), keepsOne];
    const run = (share: boolean): Promise<unknown> =>
      computeCircuits(spliced, prompts, {
        reduce: "max",
        interventions,
        ablation: { kind: "zero" },
        rowsPerBlock: ROWS,
        share,
      });
    const counted = await countKernels(() => run(true));
    const ablated = { untouched: false, dense: 0, columns: 0, constants: false };
    // The empty circuit is one row for all prompts.
    const segments = countedRows([
      { rows: 16, evaluation: { ...ablated, untouched: true } },
      { rows: 1, evaluation: ablated },
      { rows: 16, evaluation: { ...ablated, columns: 1 / 128 } },
    ]);
    expectCounted(circuitBlockWork(model, block, segments), counted);
    // Blocks are sized for rows none of which are equal.
    expectAlive(await countKernels(() => run(false)), circuitBlockSize(shape(), 33));
  });

  it("counts what circuits take that change the last position from a layer on", async () => {
    const sites = spliced.saes.filter(({ layer }) => layer >= 1).map((at) => ({ ...at, dSae: 128 }));
    const last = (states: Uint8Array, width: number): Uint8Array => states.fill(LIVE, 0, (T - 1) * width);
    const late: Intervention = new Map(
      sites.map((at) => {
        const { features, errors, slices } = uniformSite(at, T, ABLATED);
        return [siteHook(at), { features: last(features, 128), errors: last(errors, 1), slices }];
      }),
    );
    const interventions = Array<Intervention>(6).fill(late);
    const counted = await countKernels(() =>
      computeCircuits(spliced, prompts, { reduce: "max", interventions, ablation: { kind: "zero" }, rowsPerBlock: 96 }),
    );
    const evaluation = { untouched: false, dense: 0, columns: 0, constants: false };
    const segments = countedRows(
      interventions.map(() => ({ rows: 16, evaluation })),
      T - 1,
    );
    const work = baseWork(model, block);
    work.add(circuitBlockWork(model, block, segments, { layer: 1, position: T - 1 }));
    expectCounted(work, counted);
  });

  it("counts what circuits that keep the errors take, with means for the features", async () => {
    const sites = spliced.saes.map((at) => ({ ...at, dSae: 128 }));
    const keepsErrors: Intervention = new Map(
      sites.map((at) => [siteHook(at), { ...uniformSite(at, T, ABLATED), errors: new Uint8Array(T).fill(LIVE) }]),
    );
    const filled = (width: number): ReadonlyMap<string, Float32Array> =>
      new Map(sites.map((at) => [siteHook(at), new Float32Array(T * width).fill(0.1)]));
    const means = { features: filled(128), errors: filled(model.config.dModel), sites: new Map() };
    const interventions = [keepsErrors, keepsErrors];
    const counted = await countKernels(() =>
      computeCircuits(spliced, prompts, {
        reduce: "max",
        interventions,
        ablation: { kind: "mean", means },
        rowsPerBlock: ROWS,
      }),
    );
    const evaluation = { untouched: false, dense: 1, columns: 0, constants: true };
    const segments = countedRows(interventions.map(() => ({ rows: 16, evaluation })));
    expectCounted(circuitBlockWork(model, block, segments), counted);
  });
});
