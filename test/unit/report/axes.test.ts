/** @file Labels of axes: each tick has its own, says where it stands, and leaves room for the next. */
import { parseHTML } from "linkedom";
import { describe, expect, test } from "vitest";
import { componentFigures } from "../../../src/experiments/scores/report/component-figure.js";
import type { Figure } from "../../../src/report/figure.js";
import { layerFigures } from "../../../src/experiments/truth/report/layer-figure.js";
import { positionFigures } from "../../../src/experiments/truth/report/position-figure.js";
import type { CircuitContents } from "../../../src/experiments/circuits/report/contents.js";
import type { ScoresContents } from "../../../src/experiments/scores/report/contents.js";
import type { TruthContents } from "../../../src/experiments/truth/report/contents.js";
import { METHODS } from "../../../src/methods/registry.js";

import { scoreMapFigures } from "../../../src/experiments/scores/report/score-maps.js";
import type { Group } from "../../../src/experiments/truth/report/validation-file.js";
import type { ComponentRow } from "../../../src/experiments/scores/report/component-row.js";
import type { NodeRow } from "../../../src/experiments/truth/report/node-row.js";

type AllContents = CircuitContents & ScoresContents & TruthContents;

/** Least distance of labels of two digits, in pixels. */
const ROOM = 14;

interface Label {
  readonly text: string;
  /** Along the axis, in pixels. */
  readonly place: number;
}

type Element = { readonly textContent: string; getAttribute(name: string): string | null };

/** Labels of one axis of the figure's first panel. */
function labelsOf(figure: Figure | undefined, axis: "x" | "y"): Label[] {
  const { document } = parseHTML(figure?.panels[0]?.svg ?? "") as unknown as {
    document: { querySelectorAll: (selector: string) => Iterable<Element> };
  };
  return [...document.querySelectorAll(`[data-mark="${axis}-axis tick label"] text`)].map((element) => {
    const [, x, y] = /translate\(([-\d.]+),([-\d.]+)\)/.exec(element.getAttribute("transform") ?? "") ?? [];
    return { text: element.textContent, place: Number(axis === "x" ? x : y) };
  });
}

const distances = (labels: readonly Label[]): number[] =>
  labels.slice(1).map(({ place }, i) => Math.abs(place - (labels[i]?.place ?? 0)));

function contentsOf(nLayers: number, parts: Partial<AllContents>): AllContents {
  const plan = { sweep: { scores: [{ name: "atp", method: "atp" }] }, shape: { nLayers } };
  return { plan, methods: METHODS, ...parts } as unknown as AllContents;
}

const layersOf = (nLayers: number): number[] => Array.from({ length: nLayers }, (_, layer) => layer);

const errorNode = (layer: number): NodeRow => ({
  hook: `blocks.${String(layer)}.hook_mlp_out.hook_sae_error`,
  kind: "error",
  site: "mlp_out",
  layer,
  position: 3,
  n: 10,
  effect: Math.sin(layer),
  effectSem: 0.1,
  normalised: 0,
  stratum: "all",
  inclusionProbability: 1,
  scores: new Map([["atp", { mean: Math.cos(layer), sem: 0.1 }]]),
});

describe("the layer axis", () => {
  const labelled = (nLayers: number): Label[] =>
    labelsOf(layerFigures(contentsOf(nLayers, { nodes: layersOf(nLayers).map(errorNode) }))[0], "x");

  test.each([2, 3, 4, 5, 6, 7, 12])("labels each of %i layers once", (nLayers) => {
    expect(labelled(nLayers).map(({ text }) => text)).toEqual(layersOf(nLayers).map(String));
  });

  test.each([18, 26, 42, 46])("labels evenly spaced ones of %i layers, apart from one another", (nLayers) => {
    const labels = labelled(nLayers);
    const shown = labels.map(({ text }) => Number(text));
    const step = (shown[1] ?? 0) - (shown[0] ?? 0);
    expect(shown).toEqual(layersOf(nLayers).filter((layer) => layer % step === 0));
    expect(shown.length).toBeGreaterThan(6);
    expect(Math.min(...distances(labels))).toBeGreaterThan(ROOM);
  });
});

describe("axes of positions", () => {
  const positions = layersOf(60);

  test("of correlations leave room between labels of a long prompt", () => {
    const interval = { value: 0.5, low: 0.4, high: 0.6 };
    const groups = positions.map(
      (position) =>
        ({
          score: "atp",
          kind: "error",
          site: "mlp_out",
          position,
          global: false,
          n: 12,
          frame_size: 12,
          weighted: { pearson: interval, spearman: interval },
        }) as unknown as Group,
    );
    const labels = labelsOf(positionFigures(contentsOf(4, { groups }))[0], "x");
    expect(labels.map(({ text }) => text).slice(0, 3)).toEqual(["0", "5", "10"]);
    expect(Math.min(...distances(labels))).toBeGreaterThan(ROOM);
  });

  test("and layers of score maps too", () => {
    const arrays = layersOf(46).map(
      (layer) =>
        [
          `blocks.${String(layer)}.hook_mlp_out.hook_sae_error`,
          { shape: [60], values: new Float32Array(60).fill(layer) },
        ] as const,
    );
    const scores = new Map([["atp", new Map(arrays)]]);
    const [figure] = scoreMapFigures(contentsOf(46, { scores }));
    for (const axis of ["x", "y"] as const) {
      const labels = labelsOf(figure, axis);
      expect(labels.map(({ text }) => text)).toEqual([...new Set(labels.map(({ text }) => String(Number(text))))]);
      expect(Math.min(...distances(labels))).toBeGreaterThan(ROOM);
    }
  });
});

describe("axes of norms", () => {
  test("say where their ticks stand", () => {
    const components = [1, 1.5].map((norm, i): ComponentRow => ({
      hook: "blocks.0.hook_mlp_out.hook_sae_error",
      position: i,
      deltaNorm: norm,
      gradNorm: norm,
      cosine: 0.1,
      dot: norm,
    }));
    const [figure] = componentFigures(contentsOf(4, { components }));
    for (const axis of ["x", "y"] as const)
      expect(labelsOf(figure, axis).map(({ text }) => text)).toEqual(["0", "0.5", "1", "1.5"]);
  });
});
