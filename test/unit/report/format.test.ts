/** @file Numbers, markup and tables as text. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatCorrelation,
  formatCount,
  formatInterval,
  formatNumber,
  formatPercent,
  formatShort,
} from "../../../src/report/format-number.js";
import { Markup, markup } from "../../../src/report/markup.js";
import { layerColor, LAYER_STOPS } from "../../../src/report/palette.js";
import { toCsv } from "../../../src/report/table.js";

describe("numbers", () => {
  test.each([
    [0, "0"],
    [1.23456, "1.23"],
    [-0.012345, "−0.0123"],
    [123456, "123456"],
    [0.00012345, "1.23e−4"],
    [2.5e7, "2.50e7"],
    [null, "–"],
    [Number.NaN, "–"],
  ])("%s is written %s", (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  test.each([
    [{ value: 0.934, low: 0.912, high: 0.951 }, ".93 [.91, .95]"],
    [{ value: -0.5, low: -0.9, high: 0.25 }, "−.50 [−.90, .25]"],
    [{ value: 0.9973, low: 0.9951, high: 0.9988 }, ".997 [.995, .999]"],
    [{ value: 0.99997, low: 0.99988, high: 0.99998 }, ".99997 [.99988, .99998]"],
    [{ value: 0.9999999, low: 0.99988, high: 1 }, "1.00 [1.00, 1.00]"],
    [{ value: 1, low: 0.5, high: 1 }, "1.00 [.50, 1.00]"],
    [{ value: 0.5, low: null, high: null }, ".50"],
    [{ value: null, low: null, high: null }, "–"],
    [{ value: -0.0001, low: -0.2, high: 0.2 }, ".00 [−.20, .20]"],
  ])("correlation %o", (bounded, text) => {
    expect(formatCorrelation(bounded)).toBe(text);
  });

  test.each([
    [{ value: 0.99996, low: 0.69878, high: 1 }, "1.00 [.70, 1.00]"],
    [{ value: 0.999999, low: 0.952483, high: 1 }, "1.000 [.952, 1.000]"],
    [{ value: 0.9998, low: 0.9987, high: 1 }, ".9998 [.9987, 1.0000]"],
    [{ value: 0.9998, low: 0.9998, high: 0.9998 }, ".9998 [.9998, .9998]"],
  ])("a correlation near 1 has no more digits than its interval carries: %o", (bounded, text) => {
    expect(formatCorrelation(bounded)).toBe(text);
  });

  test.each([
    [{ value: 1.2345, low: 1.1, high: 1.4 }, "1.23 [1.10, 1.40]"],
    [{ value: 12.345, low: 2, high: 40 }, "12 [2, 40]"],
    [{ value: 0.83, low: 0.83, high: 0.83 }, "0.83 [0.83, 0.83]"],
    [{ value: 0, low: 0, high: 0 }, "0 [0, 0]"],
    [{ value: 0.5, low: null, high: 1 }, "0.500"],
  ])("interval %o", (bounded, text) => {
    expect(formatInterval(bounded)).toBe(text);
  });

  test("an interval's decimals never hide its width", () => {
    const finite = fc.double({ min: -1000, max: 1000, noNaN: true });
    fc.assert(
      fc.property(finite, fc.double({ min: 1e-4, max: 100, noNaN: true }), (low, width) => {
        const [, text = ""] = formatInterval({ value: low, low, high: low + width }).split(" [");
        const [a = "", b = ""] = text.replace("]", "").split(", ");
        expect(a).not.toBe(b);
      }),
    );
  });

  test("counts come in groups of three, shares in percent, tight numbers without a leading zero", () => {
    expect(formatCount(1234567)).toBe("1\u202f234\u202f567");
    expect(formatPercent(0.125)).toBe("12.5\u202f%");
    expect(formatPercent(Number.NaN)).toBe("–");
    expect(formatShort(-0.0361, 1.5)).toBe("−.04");
    expect(formatShort(0.0361, 0.05)).toBe(".036");
    expect(formatShort(36, 40)).toBe("36");
    // All zero, as the map of features without an effect is; and too small for decimals.
    expect(formatShort(0, 0)).toBe("0");
    expect(formatShort(-3.4e-7, 5e-7)).toBe("−3e−7");
    expect(formatShort(0, 5e-7)).toBe("0");
  });
});

describe("markup", () => {
  test("escapes text, keeps markup, prints nothing for null and false", () => {
    const inner = markup`<i>${"<&>"}</i>`;
    expect(markup`<p title="${'"'}">${inner}${null}${false}${[1, "'"]}</p>`.text).toBe(
      '<p title="&quot;"><i>&lt;&amp;&gt;</i>1&#39;</p>',
    );
    expect(markup`${new Markup("<b>")}`.text).toBe("<b>");
  });
});

describe("tables", () => {
  test("CSV quotes what needs it and leaves undefined numbers empty", () => {
    const rows = [
      ['a,"b"', 1.5],
      ["line\nbreak", Number.NaN],
      [null, 0],
    ];
    expect(toCsv({ columns: ["x", "y"], rows })).toBe('x,y\n"a,""b""",1.5\n"line\nbreak",\n,0\n');
  });
});

describe("layer colours", () => {
  test("run from the first stop to the last", () => {
    expect(layerColor(0, 26)).toBe(LAYER_STOPS[0]);
    expect(layerColor(25, 26)).toBe(LAYER_STOPS.at(-1));
    expect(layerColor(0, 1)).toBe(LAYER_STOPS[0]);
    expect(layerColor(12, 26)).toMatch(/^#[0-9a-f]{6}$/);
  });
});
