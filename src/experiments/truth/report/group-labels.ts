/** @file What groups of nodes are called in figures and sentences. */

import { LISTED_KINDS, KINDS, type NodeKind } from "../../../nodes/kinds.js";
import { SITES } from "../../../nodes/site.js";
import { formatCount } from "../../../report/format-number.js";
import { intervalNote } from "../../../report/interval-note.js";
import { compareGroupPlaces } from "../validation-groups.js";
import type { Group } from "./validation-file.js";

/** Orders groups as the report lists them: kind, global last, site, position. */
export function compareGroups(a: GroupName, b: GroupName): number {
  return (
    LISTED_KINDS.indexOf(a.kind) - LISTED_KINDS.indexOf(b.kind) ||
    Number(a.global) - Number(b.global) ||
    SITES.indexOf(a.site) - SITES.indexOf(b.site) ||
    compareGroupPlaces(a, b)
  );
}

/** What names a group. */
export type GroupName = Pick<Group, "kind" | "site" | "layer" | "position" | "global"> & Partial<Pick<Group, "span">>;

/** `SAE errors at resid_post, position 4`. */
export function groupLabel({ kind, ...where }: GroupName): string {
  return `${KINDS[kind].plural} at ${whereLabel(where)}`;
}

/** `resid_post, position 4`. */
function whereLabel({ site, layer, position, global, span }: Omit<GroupName, "kind">): string {
  const parts = [
    ...(layer === null ? [] : [`layer ${layer}`]),
    ...(global ? ["all positions at once"] : []),
    ...(position === null ? [] : [span ?? `position ${position}`]),
  ];
  return [site, ...parts].join(", ");
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

/** `all 16 nodes`, or how many of the frame's nodes were measured. A frame of one position is estimated from the sample. */
export function measuredOf(n: number, frameSize: number | null): string {
  if (frameSize !== null && Math.round(frameSize) !== n) return `${formatCount(n)} of ${formatCount(frameSize)} nodes`;
  return n === 1 ? "1 node" : `${frameSize === null ? "" : "all "}${formatCount(n)} nodes`;
}

/** What the brackets of statistics hold. */
export function truthNote({ clusters }: { readonly clusters: number | null }): string {
  return intervalNote(clusters, " and the drawn nodes");
}
