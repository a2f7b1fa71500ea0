/** @file Reads `nodes.parquet`: the nodes whose truth is measured, by their slots of the plan. A slot without a row is empty. */
import { decodeParquet } from "../../artifacts/parquet.js";
import type { Node } from "../../nodes/node.js";
import { nodeOfRow } from "../../nodes/node-columns.js";
import type { ReadArtifact } from "../../run/artifacts.js";
import type { ChosenNode } from "../../nodes/choose-nodes.js";

/** The artifact's name. */
export const NODES_FILE = "nodes.parquet";

/** A node with how it was chosen. */
export type ChosenListed = Node & {
  /** `all` where every candidate is listed. */
  readonly stratum: ChosenNode["stratum"] | "all";
  readonly inclusionProbability: number;
};

/** A node of the list: its slot of the plan. */
export type ListedNode = ChosenListed & { readonly slot: number };

/** Reads the node list. */
export async function readNodes(read: ReadArtifact): Promise<ListedNode[]> {
  const { rows } = await decodeParquet(await read(NODES_FILE));
  return rows.map((row) => ({
    ...nodeOfRow(row),
    slot: Number(row["slot"]),
    stratum: String(row["stratum"]) as ListedNode["stratum"],
    inclusionProbability: Number(row["inclusion_probability"]),
  }));
}
