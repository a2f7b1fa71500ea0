/** @file One small sweep on every supported version of Node. `npm run test:nodes` runs larger ones, and the demo. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { findNode, MAJORS } from "../../scripts/node-versions.js";
import { hashesOn } from "../../scripts/same-bits-across-nodes.js";

const TINY_A = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));
const nodes = MAJORS.flatMap((major) => findNode(major) ?? []);

/** Few prompts: what could differ is in the first row of each as in the last. */
const SWEEP = `name: nodes
model: { path: ${TINY_A}/model }
dataset: { path: ${TINY_A}/data/pairs-mixed-lengths.jsonl, limit: 4 }
scores: [{ name: atp, method: atp }]
truth: { positions: [global], heads: {} }
circuits: { thresholds: { log10: [-4, -1], count: 5 }, nodes: heads, ablation: zero }
`;

// Left out where the registry has no Node for this machine: none of the suites needs another Node than its own.
test.skipIf(nodes.length < 2)(
  "scores, truth and circuits of a sweep are the same bytes on every version of Node",
  () => {
    const sweep = join(mkdtempSync(join(tmpdir(), "patchbay-sweep-")), "sweep.yaml");
    writeFileSync(sweep, SWEEP);
    const [first, ...others] = nodes.map((node) => hashesOn(node, sweep));
    expect(Object.keys(first ?? {})).toEqual(
      expect.arrayContaining(["plan.json", "artifacts/circuits.parquet", "artifacts/truth.parquet"]),
    );
    for (const other of others) expect(other).toEqual(first);
  },
);
