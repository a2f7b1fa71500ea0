/** @file Programs on a model whose weights do not fit at once: the same bits, with weights really read again. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { computeCircuits } from "../../src/experiments/circuits/circuits.js";
import { computeMeans } from "../../src/experiments/means/means.js";
import { computeScores } from "./score-by-name.js";
import { computeTruth } from "../../src/experiments/truth/truth.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { must } from "../../src/base/assert.js";
import { ABLATED, type Intervention } from "../../src/nodes/intervention.js";
import { uniformSite } from "../../src/nodes/node-states.js";
import { type Node, nodeAt } from "../../src/nodes/node.js";
import { saeSites, siteHook } from "../../src/nodes/site.js";
import type { ScoreSpec } from "../../src/sweep/sweep.js";
import { loadInputs, type LoadedInputs } from "../../src/engine/load-inputs.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { fingerprintSaes, findSaes } from "../../src/weights/sae-folder.js";
import { openCheckpoint } from "../../src/weights/checkpoint.js";
import { goldenPrompts, TINY_A } from "./golden.js";
import { TEST_BACKEND } from "./test-backend.js";

const PATHS = { model: `${TINY_A}/model`, saes: `${TINY_A}/saes`, dataset: "", saeOptions: {} };
const prompts = goldenPrompts("pairs").slice(0, 3);
const T = must(prompts[0], "prompt").clean.length;

const METHODS: readonly ScoreSpec[] = [
  { name: "atp", method: "atp" },
  { name: "zero", method: "zero" },
  { name: "ig", method: "ig", steps: 2 },
  { name: "relp", method: "relp" },
];

describe("a model that does not fit into its budget", () => {
  let whole: LoadedInputs;
  let streamed: LoadedInputs;

  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
    const checkpoint = await openCheckpoint(PATHS.model);
    const entries = await findSaes(PATHS.saes, checkpoint.config, {});
    const fingerprints = { model: await checkpoint.fingerprint(), saes: await fingerprintSaes(entries), dataset: "" };
    await checkpoint.close();
    whole = await loadInputs(PATHS, { fingerprints });
    const { peakBytes } = whole.model.model.pool.facts();
    streamed = await loadInputs(PATHS, { fingerprints }, peakBytes / 3);
  });

  afterAll(async () => {
    await whole.close();
    await streamed.close();
  });

  /** The same program on both, with proof that weights were read for it. */
  async function expectSame<Result>(program: (model: SplicedModel) => Promise<Result>): Promise<void> {
    const { pool } = streamed.model.model;
    const before = pool.facts().loads;
    const expected = await program(whole.model);
    expect(await program(streamed.model)).toEqual(expected);
    expect(pool.facts().loads).toBeGreaterThan(before);
    expect(pool.facts().peakBytes).toBeLessThan(whole.model.model.pool.facts().peakBytes / 2);
  }

  it("has nothing loaded before it is needed", () => {
    expect(streamed.model.model.pool.facts().loads).toBe(0);
  });

  it.each(METHODS)("scores by $method are the same bits", async (score) => {
    await expectSame((model) => computeScores(model, prompts, "max", score));
  });

  it("means are the same bits", async () => {
    await expectSame((model) => computeMeans(model, prompts, "max"));
  });

  it("true effects of error, feature and whole-site nodes are the same bits", async () => {
    const nodes = saeSites(whole.model.model.config.nLayers).flatMap(({ site, layer }) =>
      (["error", "feature", "site"] as const).map((kind) => nodeAt(kind, { site, layer, position: T - 2 }, 3)),
    );
    await expectSame((model) => computeTruth(model, prompts, "max", nodes, 7));
  });

  it("true effects have the next site's SAE read while one is encoded", async () => {
    const { saes } = streamed.model;
    const nodes = saes.map(({ site, layer }): Node => ({
      kind: "error",
      site,
      layer,
      position: T - 1,
    }));
    const isLoaded = (n: number): boolean => {
      try {
        return must(saes[n], "SAE").sae.now().dSae > 0;
      } catch {
        return false;
      }
    };
    const visited: number[] = [];
    const watched: SplicedModel = {
      ...streamed.model,
      withSae: (at, work) =>
        streamed.model.withSae(at, async (sae) => {
          const n = saes.findIndex(({ site, layer }) => site === at.site && layer === at.layer);
          while (n + 1 < saes.length && !isLoaded(n + 1)) await new Promise(setImmediate);
          visited.push(n);
          return await work(sae);
        }),
    };
    await computeTruth(watched, prompts, "max", nodes, 7);
    expect(visited).toEqual([...saes.keys()]);
  });

  it("circuits are the same bits", async () => {
    const ablated: Intervention = new Map(
      whole.model.saes.map(({ site, layer, sae }) => [
        siteHook({ site, layer }),
        uniformSite({ site, layer, dSae: sae.now().dSae }, T, ABLATED),
      ]),
    );
    await expectSame((model) =>
      computeCircuits(model, prompts, {
        reduce: "max",
        interventions: [new Map(), ablated],
        ablation: { kind: "zero" },
        rowsPerBlock: 4,
      }),
    );
  });

  it("a circuit reads the SAEs of the sites that it changes, and no other", async () => {
    const changed = must(whole.model.saes[0], "SAE");
    const { dSae } = changed.sae.now();
    const one: Intervention = new Map([[siteHook(changed), uniformSite({ ...changed, dSae }, T, ABLATED)]]);
    const { pool, config } = streamed.model.model;
    const before = pool.facts().loads;
    await computeCircuits(streamed.model, prompts, {
      reduce: "max",
      interventions: [one],
      ablation: { kind: "zero" },
      rowsPerBlock: 100,
    });
    const loads = pool.facts().loads - before;
    expect(loads).toBeGreaterThan(0);
    expect(loads).toBeLessThanOrEqual(config.nLayers + 1);
  });

  it("scores read each layer once for the forward pass of both runs and once for the backward pass", async () => {
    const { pool, config } = streamed.model.model;
    const before = pool.facts().loads;
    await computeScores(streamed.model, prompts, "max", { name: "atp", method: "atp" });
    const loads = pool.facts().loads - before;
    expect(loads).toBeGreaterThan(0);
    expect(loads).toBeLessThanOrEqual(2 * config.nLayers + streamed.model.saes.length);
  });
});
