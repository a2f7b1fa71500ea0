/** @file Reads `nodes.parquet`: the nodes whose truth is measured. Row i is slot i of the plan; slots beyond the last row are empty. */
import { decodeParquet } from "../../artifacts/parquet.js";
import type { Node } from "../../nodes/node.js";
import { nodeOfRow } from "../../nodes/node-columns.js";
import type { ReadArtifact } from "../../run/artifacts.js";
import type { ChosenNode } from "./choose-nodes.js";

/** The artifact's name. */
export const NODES_FILE = "nodes.parquet";

/** A node of the list with how it was chosen. */
export type ListedNode = Node & {
  /** `all` where every candidate is listed. */
  readonly stratum: ChosenNode["stratum"] | "all";
  readonly inclusionProbability: number;
};

/** Reads the node list. */
export async function readNodes(read: ReadArtifact): Promise<ListedNode[]> {
  const { rows } = await decodeParquet(await read(NODES_FILE));
  return rows.map((row) => ({
    ...nodeOfRow(row),
    stratum: String(row["stratum"]) as ListedNode["stratum"],
    inclusionProbability: Number(row["inclusion_probability"]),
  }));
}
