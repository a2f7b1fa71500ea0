/** @file What scores, nodes, groups and circuits are called in figures and sentences. */
import { must } from "../base/assert.js";
import { KINDS } from "../nodes/kinds.js";
import { GLOBAL_POSITION, indexOf, type Node, type NodePosition } from "../nodes/node.js";
import { SITES, type Site } from "../nodes/site.js";
import type { RecordedStatus } from "../run/run-folder.js";
import { methodOf } from "../methods/score-method.js";
import type { RunContents } from "./run-contents.js";

/** With a capital first letter, for titles and the start of sentences. */
export function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Name of a score: its method, and its own name where that differs. */
export function scoreLabel({ plan, methods }: Pick<RunContents, "plan" | "methods">, name: string): string {
  const spec = must(
    plan.sweep.scores.find((score) => score.name === name),
    name,
  );
  const method = methodOf(methods, spec).label;
  const steps = "steps" in spec ? ` (${String(spec["steps"])} steps)` : "";
  return spec.name === spec.method ? method + steps : `${method} “${name}”${steps}`;
}

/** A node in a table: what it is within its site, `feature 1034` or `error`. */
export function nodeLabel(node: Node): string {
  const { label, index } = KINDS[node.kind];
  return index === null ? label : `${label} ${String(indexOf(node, index))}`;
}

/** A position in a table. @param spans - names of positions, where rows have spans. */
export function positionLabel(position: NodePosition, spans?: readonly string[]): string {
  return position === GLOBAL_POSITION ? "all at once" : (spans?.at(position) ?? String(position));
}

/** Sites that occur among rows, in forward order. */
export function sitesOf(rows: readonly { readonly site: Site }[]): Site[] {
  return SITES.filter((site) => rows.some((row) => row.site === site));
}

/** How a run that is not complete stands, as the end of a sentence. */
export function statusPhrase(status: RecordedStatus): string {
  const phrases = {
    complete: "is complete",
    partial: "is partial",
    failed: "has failed",
    cancelled: "was cancelled",
    running: "has not ended",
  };
  return phrases[status];
}
