/** @file The table of sets that a run patched all at once. */
import { describe, expect, test } from "vitest";
import { jointSection } from "../../../src/tables/joint-table.js";
import { toMarkdown } from "../../../src/tables/table.js";

const late = { set: "late", size: 2, n: 24, effect: 2, effect_sem: 0.5, normalised: 0.4, single_effects: 2.5, single_effects_sem: 0.1, scores: { atp: 1.5 } }; // prettier-ignore

describe("sets that were patched at once", () => {
  test("have a row each: their effect beside the sums of single effects and of scores", () => {
    const section = jointSection([late, { ...late, set: "top", single_effects: null, single_effects_sem: null }], ["atp"]); // prettier-ignore
    const text = toMarkdown(section === null ? [] : [section]);
    expect(text).toContain("| set | nodes | effect | sum of single effects | sum of atp |");
    expect(text).toContain("| late | 2 | 2.00 [1.02, 2.98] | 2.50 [2.30, 2.70] | 1.50 |");
    expect(text).toContain("| top | 2 | 2.00 [1.02, 2.98] | – | 1.50 |");
  });

  test("have no table where there are none", () => {
    expect(jointSection([], ["atp"])).toBeNull();
  });
});
