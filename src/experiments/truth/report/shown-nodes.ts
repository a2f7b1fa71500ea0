/** @file The nodes that figures draw and the page can be asked about: all of them, or of very many the largest and a seeded sample. */
import { createRng } from "../../../base/rng.js";
import { formatCount } from "../../../report/format-number.js";
import type { TruthContents } from "./contents.js";
import type { NodeRow } from "./node-row.js";

/** Nodes above which a sample is shown: the page stays small and quick. */
export const MOST_SHOWN = 10_000;

/** The largest size of a node's effect and scores. */
function sizeOf({ effect, scores }: NodeRow): number {
  let size = Math.abs(effect);
  for (const { mean } of scores.values()) if (Math.abs(mean) > size) size = Math.abs(mean);
  return size;
}

/** At most {@link MOST_SHOWN} nodes, the largest first: half of them the largest of all, half drawn from the others. */
export function shownNodes({ plan, nodes }: Pick<TruthContents, "plan" | "nodes">): readonly NodeRow[] {
  const sized = (nodes ?? [])
    .filter(({ effect }) => Number.isFinite(effect))
    .map((node) => ({ node, size: sizeOf(node) }));
  const ordered = sized.sort((a, b) => b.size - a.size).map(({ node }) => node);
  if (ordered.length <= MOST_SHOWN) return ordered;
  const half = MOST_SHOWN / 2;
  const places = Array.from({ length: ordered.length - half }, (_, i) => half + i);
  const drawn = createRng(plan.sweep.seed, "report", "shown nodes").shuffle(places).slice(0, half);
  const rest = drawn.sort((a, b) => a - b).flatMap((place) => ordered[place] ?? []);
  return [...ordered.slice(0, half), ...rest];
}

/** What a reader must know of them; null where all nodes are shown. */
export function shownNote(shown: number, measured: number): string | null {
  if (shown >= measured) return null;
  return `Figures and search hold ${formatCount(shown)} of the ${formatCount(measured)} measured nodes: the ${formatCount(MOST_SHOWN / 2)} of largest effect or score, and a seeded sample of the others. Statistics and CSV files hold all of them.`;
}
