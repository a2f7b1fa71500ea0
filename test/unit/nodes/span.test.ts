/** @file Which corrupted tokens stand for which clean ones. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { firstDifference, firstPosition, type Prompt } from "../../../src/nodes/prompt.js";
import { counterparts, layoutKey, tokenPositions } from "../../../src/nodes/span.js";

/** Tokens 0 BOS, 1 The; the subject is `2 3` in the clean prompt and `4` in the corrupted one; then 5, and the answer's 6. */
const SHORTER: Prompt = {
  line: 1,
  clean: [0, 1, 2, 3, 5, 6],
  corrupted: [0, 1, 4, 5, 6],
  spans: [
    { clean: [2, 4], corrupted: [2, 3] },
    { clean: [5, 6], corrupted: [4, 5] },
  ],
  correct: 7,
  incorrect: [8],
};
const LONGER: Prompt = {
  ...SHORTER,
  clean: [0, 1, 4, 5, 6],
  corrupted: [0, 1, 2, 3, 5, 6],
  spans: (SHORTER.spans ?? []).map(({ clean, corrupted }) => ({ clean: corrupted, corrupted: clean })),
};

describe("counterparts", () => {
  it("are laid side by side at the right ends of spans; a token that is left over or outside has none", () => {
    expect([...counterparts(SHORTER)]).toEqual([-1, -1, -1, 2, -1, 4]);
    expect([...counterparts(LONGER)]).toEqual([-1, -1, 3, -1, 5]);
  });

  it("leave out the beginning that both prompts share, also within a span", () => {
    const spans = [{ clean: [1, 4], corrupted: [1, 4] }] as const; // prettier-ignore
    expect([...counterparts({ clean: [0, 1, 2, 3, 9], corrupted: [0, 1, 5, 3, 9], spans })]).toEqual([
      -1, -1, 2, 3, -1,
    ]);
    // Equal tokens in other places are runs of their own.
    const moved = [{ clean: [1, 2], corrupted: [2, 3] }] as const; // prettier-ignore
    expect([...counterparts({ clean: [0, 1], corrupted: [0, 1, 1], spans: moved })]).toEqual([-1, 2]);
  });

  it("without spans are the tokens themselves from the first that differs on", () => {
    const ids = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(ids, ids, (clean, corrupted) => {
        const differs = clean.findIndex((id, t) => id !== corrupted[t]);
        const expected = clean.map((_, t) => (differs >= 0 && t >= differs ? t : -1));
        expect([...counterparts({ clean, corrupted })]).toEqual(expected);
        const prompt = { line: 1, clean, corrupted, correct: 1, incorrect: [2] };
        expect(firstDifference([prompt])).toBe(differs < 0 ? 6 : differs);
        expect(firstPosition([prompt])).toBe(differs < 0 ? 6 : differs);
      }),
    );
  });
});

describe("positions", () => {
  it("of tokens are their spans on each side, none outside", () => {
    expect([...tokenPositions(SHORTER, "clean")]).toEqual([-1, -1, 0, 0, -1, 1]);
    expect([...tokenPositions(SHORTER, "corrupted")]).toEqual([-1, -1, 0, -1, 1]);
    expect([...tokenPositions({ clean: [4, 5], corrupted: null }, "clean")]).toEqual([0, 1]);
  });

  it("begin to differ at a span, while tokens do within it", () => {
    expect([firstDifference([SHORTER]), firstPosition([SHORTER])]).toEqual([3, 0]);
    const alike = { ...SHORTER, corrupted: SHORTER.clean, spans: [{ clean: [5, 6], corrupted: [5, 6] }] } as const;
    expect([firstDifference([alike]), firstPosition([alike])]).toEqual([6, 1]);
  });

  it("of prompts run together where lengths and spans are the same on both sides", () => {
    expect(layoutKey({ ...SHORTER, clean: [9, 9, 9, 9, 9, 9] })).toBe(layoutKey(SHORTER));
    expect(layoutKey({ ...SHORTER, corrupted: [0, 1, 4, 5, 6, 7] })).not.toBe(layoutKey(SHORTER));
    const moved = (SHORTER.spans ?? []).map((span, i) => (i === 0 ? { ...span, clean: [3, 4] as const } : span));
    expect(layoutKey({ ...SHORTER, spans: moved })).not.toBe(layoutKey(SHORTER));
  });
});
