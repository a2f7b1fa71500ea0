/**
 * @file Nodes as tables hold them: `nodes.parquet`, `truth.parquet`, `validation.parquet` and the report's CSV files. There, and only
 * there, -1 stands for all positions at once, and for an index that nodes of the kind do not have. The column `global` tells all positions
 * at once from a position that counts from the end.
 */
import { must } from "../base/assert.js";
import { INDEX_FIELDS, KINDS, type IndexField } from "./kinds.js";
import {
  GLOBAL_POSITION,
  indexOf,
  nodeAt,
  parseNodeHook,
  type Node,
  type NodePlace,
  type NodePosition,
} from "./node.js";

/** What stands for no number in a column of whole numbers. */
const NONE = -1;

/** Value of a `position` column. */
export function positionColumn(position: NodePosition): number {
  return position === GLOBAL_POSITION ? NONE : position;
}

/** Value of a `global` column. */
export function globalColumn(position: NodePosition): boolean {
  return position === GLOBAL_POSITION;
}

/** Value of an index's column. */
export function indexColumn(node: Node, field: IndexField): number {
  return indexOf(node, field) ?? NONE;
}

/** Values of all index columns, in the order of {@link INDEX_FIELDS}. */
export function indexColumns(node: Node): number[] {
  return INDEX_FIELDS.map((field) => indexColumn(node, field));
}

/** Reads a node back from a table's `hook`, `position`, `global` and index columns; tables of earlier versions may lack `global`. */
export function nodeOfRow(row: Readonly<Record<string, unknown>>): Node {
  const at = must(parseNodeHook(String(row["hook"])), "node hook");
  const position = Number(row["position"]);
  const { index } = KINDS[at.kind];
  const isGlobal = row["global"] ?? position === NONE;
  const place: NodePlace = { ...at, position: isGlobal === true ? GLOBAL_POSITION : position };
  return nodeAt(at.kind, place, index === null ? NONE : Number(row[index]));
}
