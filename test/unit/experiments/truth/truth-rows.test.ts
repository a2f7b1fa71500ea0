import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { must } from "../../../../src/base/assert.js";
import { NODE_KINDS } from "../../../../src/nodes/kinds.js";
import { GLOBAL_POSITION, type Node, nodeAt } from "../../../../src/nodes/node.js";
import { SAE_SITES } from "../../../../src/nodes/site.js";
import {
  endsAsCorrupted,
  families,
  familyOf,
  joinOf,
  truthBlocks,
  truthRows,
} from "../../../../src/experiments/truth/truth-rows.js";

const SIZE = { prompts: 3, positions: 5, nLayers: 3 };
const ANSWER = SIZE.positions - 1;

const nodes = fc.array(
  fc.option(
    fc
      .record({
        kind: fc.constantFrom(...NODE_KINDS),
        site: fc.constantFrom(...SAE_SITES),
        layer: fc.nat(SIZE.nLayers - 1),
        position: fc.oneof(
          { weight: 1, arbitrary: fc.constant(GLOBAL_POSITION) },
          { weight: SIZE.positions + 1, arbitrary: fc.nat(SIZE.positions) },
        ),
      })
      .map(({ kind, ...place }) => nodeAt(kind, place, 0)),
    { nil: null },
  ),
  { maxLength: 30 },
);
const differences = fc.array(fc.array(fc.boolean(), { minLength: 15, maxLength: 15 }), {
  minLength: 30,
  maxLength: 30,
});
const cases = fc.record({ nodes, differences, rowsPerBlock: fc.integer({ min: 1, max: 40 }) });

/** Whether a patch changes the answer's logits: it differs somewhere, in the last layer at the answer itself. */
function reaches(node: Node, differs: (position: number) => boolean): boolean {
  const patched = node.position === GLOBAL_POSITION ? [0, 1, 2, 3, 4] : [node.position];
  return patched.some((t) => t <= ANSWER && differs(t) && (node.layer < SIZE.nLayers - 1 || t === ANSWER));
}

describe("the rows of true patching", () => {
  it("are exactly those that can differ from the clean run and need not end as the corrupted one", () => {
    fc.assert(
      fc.property(cases, ({ nodes, differences }) => {
        const rows = truthRows(nodes, SIZE, (slot, row) => differences[slot]?.[row] ?? false);
        const expected = nodes.flatMap((node, slot) =>
          Array.from({ length: SIZE.prompts }, (_, prompt) => prompt)
            .filter(
              (prompt) =>
                node !== null &&
                !endsAsCorrupted(node, "corrupted", false) &&
                reaches(node, (t) => differences[slot]?.[prompt * SIZE.positions + t] ?? false),
            )
            .map((prompt) => [slot, prompt]),
        );
        expect(rows.map(({ slot, prompt }) => [slot, prompt])).toEqual(expected);
      }),
    );
  });

  it("carry nothing before the first difference that counts", () => {
    const node: Node = { kind: "error", site: "mlp_out", layer: 0, position: GLOBAL_POSITION };
    const last = { ...node, layer: 2 };
    const rows = truthRows([node, last], { ...SIZE, prompts: 1 }, (_, row) => row >= 2);
    expect(rows.map(({ start }) => start)).toEqual([2, ANSWER]);
  });

  it("patch all tokens of a span from the first that differs, in the last layer the answer alone", () => {
    const node: Node = { kind: "error", site: "mlp_out", layer: 0, position: 1 };
    const last = { ...node, layer: 2 };
    const spans = [[0, 2], [2, 5]] as const; // prettier-ignore
    const rows = truthRows(
      [node, last, { ...last, position: 0 }],
      { ...SIZE, prompts: 1, spans },
      (_, row) => row >= 3,
    );
    expect(rows.map(({ start, length }) => [start, length])).toEqual([
      [3, 2],
      [ANSWER, 1],
    ]);
    const whole: Node = { kind: "site", site: "resid_post", layer: 0, position: GLOBAL_POSITION };
    expect(endsAsCorrupted(whole, "corrupted", false)).toBe(true);
    // What is outside every span stays clean.
    expect(truthRows([whole], { ...SIZE, prompts: 1, spans }, (_, row) => row >= 3)).toHaveLength(1);
  });

  it("fill blocks without loss or repeats, in joining order", () => {
    fc.assert(
      fc.property(cases, ({ nodes, differences, rowsPerBlock }) => {
        const rows = truthRows(nodes, SIZE, (slot, row) => differences[slot]?.[row] ?? false);
        const blocks = truthBlocks(rows, SIZE, rowsPerBlock);
        const key = ({ slot, prompt }: { slot: number; prompt: number }): number => slot * SIZE.prompts + prompt;
        expect(blocks.flatMap((block) => block.rows.map(key)).sort((a, b) => a - b)).toEqual(rows.map(key));
        for (const { rows: members } of blocks) {
          const carried = members.reduce((sum, { start }) => sum + SIZE.positions - start, 0);
          expect(carried).toBeLessThanOrEqual(rowsPerBlock * SIZE.positions);
          const joins = members.map(({ node }) => joinOf(node));
          expect(joins).toEqual([...joins].sort((a, b) => a - b));
          const groups = families(members.map((row) => ({ row })).filter(({ row }) => joinOf(row.node) === joins[0]));
          expect(new Set(groups.map((group) => familyOf(must(group[0], "row").row.node))).size).toBe(groups.length);
        }
      }),
    );
  });

  it("make the same blocks whatever order the slots' rows come in", () => {
    fc.assert(
      fc.property(cases, fc.nat(), ({ nodes, differences, rowsPerBlock }, turn) => {
        const rows = truthRows(nodes, SIZE, (slot, row) => differences[slot]?.[row] ?? false);
        const at = rows.length === 0 ? 0 : turn % rows.length;
        expect(truthBlocks([...rows.slice(at), ...rows.slice(0, at)], SIZE, rowsPerBlock)).toEqual(
          truthBlocks(rows, SIZE, rowsPerBlock),
        );
      }),
    );
  });
});
