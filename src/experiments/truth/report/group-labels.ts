/** @file What groups of nodes are called in figures and sentences. */

import { LISTED_KINDS, KINDS, type NodeKind } from "../../../nodes/kinds.js";
import { SITES } from "../../../nodes/site.js";
import type { Group } from "./validation-file.js";

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
