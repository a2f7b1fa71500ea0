/** @file One small sweep on every supported version of Node. `npm run test:nodes` runs all of them, and the demo. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { findNode, MAJORS } from "../../scripts/node-versions.js";
import { hashesOn } from "../../scripts/same-bits-across-nodes.js";

const SWEEP = fileURLToPath(new URL("../fixtures/sweeps/heads.yaml", import.meta.url));
const nodes = MAJORS.flatMap((major) => findNode(major) ?? []);

// Left out where the registry has no Node for this machine: none of the suites needs another Node than its own.
test.skipIf(nodes.length < 2)(
  "scores, truth and circuits of a sweep are the same bytes on every version of Node",
  () => {
    const [first, ...others] = nodes.map((node) => hashesOn(node, SWEEP));
    expect(Object.keys(first ?? {})).toEqual(
      expect.arrayContaining(["plan.json", "artifacts/circuits.parquet", "artifacts/truth.parquet"]),
    );
    for (const other of others) expect(other).toEqual(first);
  },
);
