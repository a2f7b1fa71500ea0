/** @file Prompts that stand out: which are named, and what their distributions say. */
import { describe, expect, it } from "vitest";
import type { PromptRow } from "../../../../src/artifacts/prompts-file.js";
import { outlierFigures, outlierTables } from "../../../../src/experiments/circuits/report/outliers.js";
import type { MeasuredPrompt } from "../../../../src/experiments/circuits/report/prompt-metrics.js";

/** Prompt `i` has faithfulness `i / 10`, but for the last: the full model is no better than the empty circuit. */
const rows = Array.from({ length: 31 }, (_, i): MeasuredPrompt => ({
  prompt: i,
  side: i % 2 === 0 ? "clean" : "corrupted",
  full: i === 30 ? 0 : 1,
  empty: 0,
  circuit: i / 10,
  faithfulness: i === 30 ? Number.NaN : i / 10,
}));
const prompts = rows.map(
  ({ prompt }) =>
    ({
      prompt,
      ids: { line: prompt + 1 },
      text: { clean: { text: `clean ${String(prompt)}.` }, corrupted: { text: `corrupted ${String(prompt)}.` } },
    }) as unknown as PromptRow,
);
const measured = [{ circuit: "c", rows }];

describe("prompts that stand out", () => {
  it("are those at both ends of faithfulness, each with the text of its side; undefined ones are left out", () => {
    const [table] = outlierTables(measured, { prompts });
    const named = [...(table?.text ?? "").matchAll(/(clean|corrupted) (\d+)\./g)].map(([, side, i]) => [
      side,
      Number(i),
    ]);
    expect(named.map(([, i]) => i)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 22, 23, 24, 25, 26, 27, 28, 29]);
    expect(named.every(([side, i]) => side === (Number(i) % 2 === 0 ? "clean" : "corrupted"))).toBe(true);
  });

  it("are counted in distributions whose notes give the median, the spread and what is above 1", () => {
    const [figure] = outlierFigures(measured);
    const [metric, faithfulness] = figure?.panels ?? [];
    expect(metric?.notes[1]).toBe("m(C), the circuit: median 1.5; nine in ten from 0.20 to 2.9");
    expect(faithfulness?.notes).toEqual(["median 1.5; nine in ten from 0.10 to 2.8", "below 0: 0 %; above 1: 63 %"]);
    expect(figure?.table.rows).toHaveLength(31);
  });

  it("of many there are the ends alone beyond the axis, which the notes count", () => {
    const many = Array.from({ length: 1000 }, (_, i) => ({ ...(rows[15] as MeasuredPrompt), prompt: i }));
    const far = many.map((row, i) => (i < 3 ? { ...row, faithfulness: 1e6 } : row));
    const [figure] = outlierFigures([{ circuit: "c", rows: far }]);
    expect(figure?.panels[1]?.notes.at(-1)).toBe("3 beyond the axis");
  });

  it("of few there are the ends alone beyond the axis too: one far away must not press the others together", () => {
    const far = rows.slice(0, 20).map((row, i) => (i === 0 ? { ...row, faithfulness: -60 } : row));
    const [figure] = outlierFigures([{ circuit: "c", rows: far }]);
    expect(figure?.panels[1]?.notes.at(-1)).toBe("1 beyond the axis");
  });

  it("are none where no prompt has a share, and the figure says why", () => {
    const none = [{ circuit: "c", rows: rows.map((row) => ({ ...row, full: 0, faithfulness: Number.NaN })) }];
    const [figure] = outlierFigures(none);
    expect(figure?.panels.map(({ title }) => title)).toEqual(["Metric"]);
    expect(figure?.caption).toContain("the empty circuit have the same metric");
    expect(outlierTables(none, { prompts })).toEqual([]);
  });
});
