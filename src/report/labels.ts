/** @file What scores, nodes, groups and circuits are called in figures and sentences. */
import { must } from "../base/assert.js";
import { KINDS, LISTED_KINDS, type NodeKind } from "../nodes/kinds.js";
import { GLOBAL_POSITION, indexOf, type Node, type NodePosition } from "../nodes/node.js";
import { SITES, type Site } from "../nodes/site.js";
import type { Variant } from "../nodes/selection.js";
import type { Plan } from "../plan/plan.js";
import { SCORE_METHODS } from "../plan/score-methods.js";
import type { RecordedStatus } from "../plan/run-folder.js";
import type { Group } from "./validation-file.js";

/** With a capital first letter, for titles and the start of sentences. */
export function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Name of a score: its method, and its own name where that differs. */
export function scoreLabel({ sweep }: Plan, name: string): string {
  const spec = must(
    sweep.scores.find((score) => score.name === name),
    name,
  );
  const method = SCORE_METHODS[spec.method].label;
  const steps = "steps" in spec ? ` (${String(spec.steps)} steps)` : "";
  return spec.name === spec.method ? method + steps : `${method} “${name}”${steps}`;
}

/** What the variants of threshold circuits are called. */
export const VARIANT_NAMES: Readonly<Record<string, string>> = {
  all: "all nodes",
  no_resid_errors: "resid errors ablated",
  no_mlp_attn_errors: "mlp and attn errors ablated",
} satisfies Record<Variant, string>;

/** Orders groups as the report lists them: kind, global last, site, position. */
export function compareGroups(a: GroupName, b: GroupName): number {
  return (
    LISTED_KINDS.indexOf(a.kind) - LISTED_KINDS.indexOf(b.kind) ||
    Number(a.global) - Number(b.global) ||
    SITES.indexOf(a.site) - SITES.indexOf(b.site) ||
    (a.position ?? -1) - (b.position ?? -1)
  );
}

/** What names a group. */
export type GroupName = Pick<Group, "kind" | "site" | "position" | "global">;

/** `SAE errors at resid_post, position 4`. */
export function groupLabel({ kind, site, position, global }: GroupName): string {
  return `${KINDS[kind].plural} at ${whereLabel({ site, position, global })}`;
}

/** `resid_post, position 4`. */
function whereLabel({ site, position, global }: Omit<GroupName, "kind">): string {
  return `${site}${global ? ", all positions at once" : ""}${position === null ? "" : `, position ${String(position)}`}`;
}

/** Kinds that occur, in {@link LISTED_KINDS}; nodes patched at all positions at once apart. */
export function familiesOf(rows: readonly Pick<GroupName, "kind" | "global">[]): { kind: NodeKind; global: boolean }[] {
  return [false, true].flatMap((global) =>
    LISTED_KINDS.filter((kind) => rows.some((row) => row.kind === kind && row.global === global)).map((kind) => ({
      kind,
      global,
    })),
  );
}

/** A node in a table: what it is within its site, `feature 1034` or `error`. */
export function nodeLabel(node: Node): string {
  const { label, index } = KINDS[node.kind];
  return index === null ? label : `${label} ${String(indexOf(node, index))}`;
}

/** A position in a table. */
export function positionLabel(position: NodePosition): string {
  return position === GLOBAL_POSITION ? "all at once" : String(position);
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
