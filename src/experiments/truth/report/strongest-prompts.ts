/** @file The prompts on which single nodes have their largest effects, from truth.parquet. */
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { artifactFile, checkArtifact, hasArtifact } from "../../../run/artifacts.js";
import type { NodePrompt } from "../../../report/node-index.js";
import type { NodeRow } from "./node-row.js";

/** Prompts of each node. */
const PROMPTS_OF_EACH = 3;
/** Nodes that are asked for, the largest: their prompts' texts are a part of the page. */
const MOST_NODES = 500;
/** Rows above which the table is not read: it would take longer than the rest of the report. */
const MOST_ROWS = 4_000_000;
/** Nodes whose rows are read at once. */
const NODES_AT_ONCE = 500;

/**
 * By node, its prompts of largest |effect|. Only the first {@link MOST_NODES} of `shown` are in it, and none where the table is not that of
 * `nodes`, node after node.
 * @param ofSets - rows of sets, which come after those of nodes.
 */
export async function strongestPrompts(
  folder: string,
  nodes: readonly NodeRow[],
  shown: readonly NodeRow[],
  ofSets = 0,
): Promise<Map<NodeRow, NodePrompt[]>> {
  const found = new Map<NodeRow, NodePrompt[]>();
  if (!hasArtifact(folder, "truth.parquet")) return found;
  await checkArtifact(folder, "truth.parquet");
  const file = await asyncBufferFromFile(artifactFile(folder, "truth.parquet").path);
  // Read once: a large table's takes longer to parse than some of its rows.
  const metadata = await parquetMetadataAsync(file);
  const rows = Number(metadata.num_rows);
  if (rows > MOST_ROWS || rows - ofSets !== nodes.reduce((sum, { n }) => sum + n, 0)) return found;
  const asked = new Set(shown.slice(0, MOST_NODES));
  let rowStart = 0;
  for (let start = 0; start < nodes.length; start += NODES_AT_ONCE) {
    const some = nodes.slice(start, start + NODES_AT_ONCE);
    const rowEnd = rowStart + some.reduce((sum, { n }) => sum + n, 0);
    if (some.some((node) => asked.has(node))) {
      const effects = await parquetReadObjects({ file, metadata, columns: ["prompt", "effect"], rowStart, rowEnd });
      let from = 0;
      for (const node of some) {
        const own = effects.slice(from, (from += node.n));
        if (asked.has(node)) found.set(node, largestOf(own));
      }
    }
    rowStart = rowEnd;
  }
  return found;
}

function largestOf(rows: readonly Record<string, unknown>[]): NodePrompt[] {
  return rows
    .map((row) => ({ prompt: Number(row["prompt"]), effect: Number(row["effect"]) }))
    .filter(({ effect }) => Number.isFinite(effect) && effect !== 0)
    .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect))
    .slice(0, PROMPTS_OF_EACH);
}
