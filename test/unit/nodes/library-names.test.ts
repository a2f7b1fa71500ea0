/** @file Names of hooks that this program writes are hooks of TransformerLens and SAELens, of the shape that the formats promise. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KINDS, NODE_KINDS, type NodeKind } from "../../../src/nodes/kinds.js";
import { nodeHook } from "../../../src/nodes/node.js";
import { SAE_SITES, SITES, type Site } from "../../../src/nodes/site.js";

/** What the libraries gave for layer 1 of a small Gemma 2: test/independent/library_names.py made it, test/libraries compares it. */
const { sizes, hooks } = JSON.parse(readFileSync("test/fixtures/library-names.json", "utf8")) as {
  sizes: Readonly<Record<"positions" | "d_model" | "n_heads" | "d_head" | "d_mlp" | "d_sae", number>>;
  hooks: Readonly<Record<string, readonly number[]>>;
};

/** Names that the libraries do not have: parts of hooks of theirs. */
const OURS = new Set<NodeKind>(["head", "error_linear", "error_nonlinear"]);

const sitesOf = (kind: NodeKind): readonly Site[] =>
  SITES.filter((site) =>
    kind === "neuron"
      ? site === "mlp_post"
      : kind === "head"
        ? site === "attn_z"
        : SAE_SITES.some((one) => one === site),
  );

/** Width of a site's activation; the libraries split attn_z by heads. */
const WIDTHS: Readonly<Record<Site, readonly number[]>> = {
  attn_z: [sizes.n_heads, sizes.d_head],
  mlp_post: [sizes.d_mlp],
  mlp_out: [sizes.d_model],
  resid_post: [sizes.d_model],
};

test("every hook of a node is one of the libraries', but for those that are parts of one", () => {
  const names = NODE_KINDS.filter((kind) => !OURS.has(kind)).flatMap((kind) =>
    sitesOf(kind).map((site) => ({ kind, site, hook: nodeHook({ site, layer: 1 }, kind) })),
  );
  expect(names.map(({ hook }) => hook).sort()).toEqual(Object.keys(hooks).sort());
  for (const { kind, site, hook } of names)
    expect(hooks[hook], hook).toEqual([1, sizes.positions, ...(kind === "feature" ? [sizes.d_sae] : WIDTHS[site])]);
});

test("names of our own extend a hook of the libraries, and are none of theirs", () => {
  for (const kind of OURS)
    for (const site of sitesOf(kind)) {
      const hook = nodeHook({ site, layer: 1 }, kind);
      expect(hooks).not.toHaveProperty([hook]);
      expect(Object.keys(hooks).some((known) => hook.startsWith(known)), `${KINDS[kind].label} ${hook}`).toBe(true); // prettier-ignore
    }
});
