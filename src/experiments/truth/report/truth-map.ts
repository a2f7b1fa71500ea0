/** @file Maps of measured effects beside those of a score and of their difference: where in the model a score goes wrong. */
import { KINDS, LISTED_KINDS, type NodeKind } from "../../../nodes/kinds.js";
import { GLOBAL_POSITION } from "../../../nodes/node.js";
import type { Site } from "../../../nodes/site.js";
import type { Figure, Panel } from "../../../report/figure.js";
import { formatNumber } from "../../../report/format-number.js";
import { capitalised, scoreLabel, sitesOf } from "../../../report/labels.js";
import { withExample } from "../../../report/example-prompt.js";
import { placeMap, type PlaceCell, type PlaceMap } from "../../../report/place-map.js";
import { estimates, type TruthContents } from "./contents.js";
import type { NodeRow } from "./node-row.js";

/** Measured nodes of a kind at one place. */
interface Place extends Omit<PlaceCell, "value"> {
  readonly nodes: number;
  readonly effect: number;
  readonly score: number;
}

/** A figure for each score that estimates the measured effect (each score, where none does), and each kind of node. */
export function truthMapFigures(contents: TruthContents): Figure[] {
  return LISTED_KINDS.flatMap((kind) =>
    estimates(contents).flatMap((name): Figure[] => {
      const places = placesOf(
        (contents.nodes ?? []).filter((node) => node.kind === kind),
        name,
      );
      return places.length === 0 ? [] : [mapFigure(contents, kind, name, places)];
    }),
  );
}

/** Effects and scores of the same nodes, added up at each place. */
function placesOf(nodes: readonly NodeRow[], score: string): Place[] {
  const places = new Map<string, Place>();
  for (const { kind, site, layer, position, effect, scores } of nodes) {
    const mean = scores.get(score)?.mean ?? Number.NaN;
    if (position === GLOBAL_POSITION || !Number.isFinite(effect) || !Number.isFinite(mean)) continue;
    const key = [site, layer, position].join(" ");
    const before = places.get(key) ?? { nodes: 0, effect: 0, score: 0 };
    const sums = { nodes: before.nodes + 1, effect: before.effect + effect, score: before.score + mean };
    places.set(key, { kind, site, layer, position, ...sums });
  }
  return [...places.values()];
}

function mapFigure(contents: TruthContents, kind: NodeKind, name: string, places: readonly Place[]): Figure {
  const label = scoreLabel(contents, name);
  const isSum = KINDS[kind].index !== null;
  const values = places.flatMap(({ effect, score }) => [effect, score, score - effect].map(Math.abs));
  const largest = values.reduce((a, b) => Math.max(a, b), 0);
  return {
    id: `maps-${kind}-${name}`,
    title: `${capitalised(KINDS[kind].plural)}: true effects, ${label}, and their difference`,
    caption: withExample(
      `Left: the measured mean effect over prompts. Middle: the mean ${label} score. Right: score minus effect, orange where the score is too high and blue where it is too low. ` +
        (isSum
          ? `Each cell adds up the ${KINDS[kind].plural} that were measured at a layer and position, on both sides the same ones; it is a sum of single effects, and not the effect of patching them together. `
          : "") +
        "All maps of this figure share one scale; colour follows the square root of the size. Places without a measured node are blank.",
      contents.example,
    ),
    panels: sitesOf(places).flatMap((site) =>
      mapRow(
        site,
        places.filter((place) => place.site === site),
        { largest, example: contents.example },
      ),
    ),
    columns: 3,
    legend: { kind: "signed", label: "change of m", largest: formatNumber(largest) },
    table: {
      columns: ["kind", "site", "layer", "position", "nodes", "effect", name, "difference"],
      rows: places.map(({ site, layer, position, nodes, effect, score }) => [
        kind,
        site,
        layer,
        position,
        nodes,
        effect,
        score,
        score - effect,
      ]),
    },
  };
}

/** The three maps of a site. */
function mapRow(site: Site, places: readonly Place[], shared: Pick<PlaceMap, "largest" | "example">): Panel[] {
  const mapOf = (what: string, valueOf: (place: Place) => number): Panel =>
    placeMap({
      title: `${site}: ${what}`,
      what,
      cells: places.map((place) => ({ ...place, value: valueOf(place) })),
      ...shared,
    });
  return [
    mapOf("true effect", ({ effect }) => effect),
    mapOf("score", ({ score }) => score),
    mapOf("score − effect", ({ effect, score }) => score - effect),
  ];
}
