/** @file The tables of differences between points of a grid. */
import { expect, test } from "vitest";
import { contrastSection } from "../../../src/tables/contrast-table.js";
import { toMarkdown } from "../../../src/tables/table.js";

const row = { experiment: "windows", contrast: "ablation: zero - mean", W: "0-3", K: null, first: "a", second: "b", difference: -0.25, difference_low: -0.5, difference_high: 0.125, clusters: 20 }; // prettier-ignore

test("each contrast has a table, with the axes of its own experiment and an interval for each pair of points", () => {
  const other = { ...row, experiment: "chosen", contrast: "how: ig - atp", W: null, K: 3, difference: Number.NaN, difference_low: Number.NaN, difference_high: Number.NaN }; // prettier-ignore
  const section = contrastSection([row, other]);
  const text = toMarkdown(section === null ? [] : [section]);
  expect(text).toContain("### windows, ablation: zero - mean\n\n| W | difference |");
  expect(text).toContain("| 0-3 | −.25 [−.50, .13] |");
  expect(text).toContain("### chosen, how: ig - atp\n\n| K | difference |");
  expect(text).toContain("| 3 | – |");
  expect(contrastSection([])).toBeNull();
});
