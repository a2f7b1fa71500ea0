/** @file Nodes of every kind on the golden fixture. */
import type { NodeKind } from "../../src/nodes/kinds.js";
import { type Node, nodeAt, type NodePosition } from "../../src/nodes/node.js";
import { GOLDEN_SITES, GOLDEN_WIDTH } from "./golden-sites.js";

const [HEADS, NEURONS] = [4, 96];

/** Nodes of each kind at each site and each of the positions; features differ from site to site. */
export function nodesOfEveryKind(
  at: readonly NodePosition[],
  count: { readonly features: number; readonly neurons: 1 | 2 },
): Node[] {
  return GOLDEN_SITES.flatMap(({ site, layer }, s) =>
    at.flatMap((position, p): Node[] => {
      const node = (kind: NodeKind, index: number): Node => nodeAt(kind, { site, layer, position }, index);
      const features = Array.from({ length: count.features }, (_, i) =>
        node("feature", (37 * (s + 5 * p) + 11 * (i + 1)) % GOLDEN_WIDTH),
      );
      const heads = site === "attn_z" ? [node("head", (s + p) % HEADS)] : [];
      const neuron = (index: number): Node => nodeAt("neuron", { site: "mlp_post", layer, position }, index);
      const both = [neuron((17 * s + p) % NEURONS), neuron((29 * s + 3 * p) % NEURONS)];
      const neurons = site === "mlp_out" ? both.slice(0, count.neurons) : [];
      const errors = [node("error", 0), node("error_linear", 0), node("error_nonlinear", 0)];
      return [...errors, node("site", 0), ...heads, ...neurons, ...features];
    }),
  );
}
