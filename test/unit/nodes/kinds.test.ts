/** @file The table of node kinds: what its entries must not share, and what is made of them. */
import { describe, expect, it } from "vitest";
import { must } from "../../../src/base/assert.js";
import { INDEX_FIELDS, isSaeKind, KINDS, LISTED_KINDS, NODE_KINDS, SLOT_KINDS } from "../../../src/nodes/kinds.js";
import { indexColumn, nodeOfRow, positionColumn } from "../../../src/nodes/node-columns.js";
import { GLOBAL_POSITION, hookOf, nodeAt, nodeHook, parseNodeHook } from "../../../src/nodes/node.js";
import { sitesOfLayers } from "../../../src/nodes/site.js";

const unique = (values: readonly unknown[]): boolean => new Set(values).size === values.length;

describe("the kinds of node", () => {
  it("have ranks, names and hooks of their own", () => {
    for (const field of ["slotRank", "listRank", "label", "plural"] as const)
      expect(unique(NODE_KINDS.map((kind) => KINDS[kind][field])), field).toBe(true);
    const hooks = NODE_KINDS.flatMap((kind) => KINDS[kind].sites.map((site) => nodeHook({ site, layer: 0 }, kind)));
    expect(unique(hooks)).toBe(true);
    expect([...LISTED_KINDS].sort()).toEqual([...NODE_KINDS].sort());
    expect([...SLOT_KINDS].sort()).toEqual([...NODE_KINDS].sort());
  });

  it("have index fields of their own, and an SAE's parts have states of their own", () => {
    expect(unique(NODE_KINDS.map((kind) => KINDS[kind].index).filter((index) => index !== null))).toBe(true);
    expect(unique(NODE_KINDS.filter(isSaeKind).map((kind) => KINDS[kind].states))).toBe(true);
  });

  it("are read back from their hooks, and nothing else is", () => {
    for (const kind of NODE_KINDS)
      for (const at of sitesOfLayers(KINDS[kind].sites, 12))
        expect(parseNodeHook(nodeHook(at, kind))).toEqual({ ...at, kind });
    for (const hook of [
      "",
      "blocks.0",
      "blocks.0.hook_resid_post.",
      "blocks.0.hook_resid_post.head",
      "x.blocks.0.attn.hook_z",
      "blocks.0.mlp.hook_post.hook_sae_error",
      "blocks.0.mlp.hook_post.heads",
    ])
      expect(parseNodeHook(hook), hook).toBeUndefined();
  });
});

describe("a node in a table", () => {
  it.each(NODE_KINDS)("of kind %s is read back, with -1 for what it does not have", (kind) => {
    for (const position of [0, 3, GLOBAL_POSITION] as const) {
      const node = nodeAt(kind, { site: must(KINDS[kind].sites[0], "site"), layer: 2, position }, 7);
      const indexes = Object.fromEntries(INDEX_FIELDS.map((field) => [field, indexColumn(node, field)]));
      const row = { hook: hookOf(node), position: positionColumn(position), ...indexes };
      expect(nodeOfRow(row)).toEqual(node);
      expect(row.position).toBe(position === GLOBAL_POSITION ? -1 : position);
      for (const field of INDEX_FIELDS) expect(indexes[field]).toBe(KINDS[kind].index === field ? 7 : -1);
    }
  });
});
