/** @file Paired differences of agreement: of a run with itself, the other way round, and of a known size. */
import { describe, expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { agreementDifferences, type AgreementDifference } from "../../../src/compare/agreement-differences.js";
import type { PairedContext } from "../../../src/compare/paired-sides.js";
import { artifactMetadata } from "../../../src/artifacts/artifact-metadata.js";
import { decodeParquet } from "../../../src/artifacts/parquet.js";
import { truthOfRows } from "../../../src/compare/compared-run.js";
import { encodeTruthRows } from "../../../src/experiments/truth/truth-artifact.js";
import type { TruthTable } from "../../../src/experiments/truth/truth-table.js";
import { validationStatistics } from "../../../src/experiments/truth/validation-artifact.js";
import { familiesOf } from "../../../src/experiments/truth/validation-groups.js";
import type { Plan } from "../../../src/plan/plan.js";
import { clustersOf } from "../../../src/stats/clusters.js";
import { CONTEXT, NODE_LIST, PROMPTS, promptOf, tableOf } from "./two-tables.js";

const noisy = (effect: number, n: number): number => effect * (1 + 0.4 * Math.sin(7 * n));
const HALF = tableOf({ one: (effect) => effect / 2 });
const EXACT = tableOf({ one: (effect) => effect });
const NOISY = tableOf({ one: noisy });

type Options = Partial<PairedContext> & { readonly isSame?: boolean };

function compare(a: TruthTable, b: TruthTable, { isSame = true, ...context }: Options = {}): AgreementDifference[] {
  const family = { a: must(familiesOf(a.nodes)[0], "family"), b: must(familiesOf(b.nodes)[0], "family"), isSame };
  return agreementDifferences([a, b], family, [["one", "one"]], { ...CONTEXT, ...context });
}

const byName = (found: readonly AgreementDifference[]) => new Map(found.map((one) => [one.statistic, one]));

describe("differences of agreement", () => {
  test("of a table with itself are exactly 0, with an interval of no width", () => {
    const found = compare(NOISY, tableOf({ one: noisy }));
    expect(found).toHaveLength(5);
    for (const { a, b, difference } of found) {
      expect(b).toEqual(a);
      expect(difference).toEqual({ value: 0, low: 0, high: 0, bias: 0 });
    }
  });

  test("change their sign where the runs change places", () => {
    const [forth, back] = [compare(HALF, NOISY), compare(NOISY, HALF)];
    forth.forEach(({ a, b, difference }, i) => {
      const other = must(back[i], "difference");
      expect([other.a, other.b]).toEqual([b, a]);
      expect(other.difference.value).toBe(-must(difference.value, "value") || 0);
      expect(other.difference.low).toBeCloseTo(-must(difference.high, "high"), 12);
      expect(other.difference.high).toBeCloseTo(-must(difference.low, "low"), 12);
    });
  });

  test("have the size that the scores were given, and no width where every resample has it", () => {
    const found = byName(compare(HALF, EXACT));
    const sizes = { pearson: 0, spearman: 0, off: -0.5, slope: -1, size_ratio: 0.5 };
    for (const [name, size] of Object.entries(sizes)) {
      const { value, low, high } = must(found.get(name as AgreementDifference["statistic"]), name).difference;
      for (const number of [value, low, high]) expect(number).toBeCloseTo(size, 10);
    }
    expect(found.get("off")?.a.value).toBeCloseTo(0.5, 12);
  });

  test("are paired: noise that both runs share is not in the interval", () => {
    const shifted = tableOf({ one: (effect, n) => 1.1 * noisy(effect, n) });
    const { a, difference } = must(byName(compare(NOISY, shifted)).get("size_ratio"), "size ratio");
    const width = ({ low, high }: typeof a): number => must(high, "high") - must(low, "low");
    expect(difference.value).toBeCloseTo(0.1 * must(a.value, "ratio"), 12);
    expect(width(difference)).toBeLessThan(0.2 * width(a));
  });

  test("have no interval with fewer than six clusters, or fewer than ten nodes", () => {
    const few = clustersOf(Array.from({ length: PROMPTS }, (_, p) => String(p % 5)));
    for (const { difference } of compare(HALF, NOISY, { clusters: few })) {
      expect(difference.value).not.toBeNull();
      expect([difference.low, difference.high]).toEqual([null, null]);
    }
    const nodes = NODE_LIST.slice(0, 9);
    const ofFew = compare(tableOf({ one: noisy }, nodes), tableOf({ one: (effect) => effect }, nodes));
    for (const { n, difference } of ofFew) expect([n, difference.low]).toEqual([[9, 9], null]);
  });

  test("are over the nodes that enter in either run, or over each run's own where they measured different nodes", () => {
    // Without effect a node enters by its scores alone: that of the second run says something of node 0.
    const none = (table: TruthTable): TruthTable => ({ ...table, metricPatched: table.metricPatched.map((effect, i) => (i % table.nodes.length === 0 ? 0 : effect)) }); // prettier-ignore
    const [a, b] = [none(tableOf({ one: (e, n) => (n === 0 ? 0 : e) })), none(EXACT)];
    expect(compare(a, b)[0]?.n).toEqual([15, 15]);
    expect(compare(a, b, { isSame: false })[0]?.n).toEqual([14, 15]);
  });

  test("a node whose mean is not a number in one run is compared in none", () => {
    const broken = tableOf({ one: (effect, n, p) => (n === 2 && p === 5 ? Number.NaN : effect) });
    for (const { n, a, difference } of compare(broken, NOISY)) {
      expect(n).toEqual([14, 14]);
      for (const { value } of [a, difference]) expect(value).not.toBeNaN();
    }
  });

  test("a score that does not vary has no correlation, and no difference of one", () => {
    const found = byName(compare(EXACT, tableOf({ one: () => 0 })));
    expect(found.get("pearson")?.difference).toEqual({ value: null, low: null, high: null, bias: null });
    expect(found.get("off")?.difference.value).toBeCloseTo(1, 12);
  });

  test("two scores of one run differ as its validation.json says, with the signs turned", () => {
    const table = tableOf({ half: (effect) => effect / 2, noisy });
    const prompts = Array.from({ length: PROMPTS }, (_, p) => promptOf(p));
    const plan = { prompts, sweep: { seed: CONTEXT.seed } } as unknown as Plan;
    const { groups, differences } = validationStatistics(plan, table, CONTEXT.resamples);
    const family = must(familiesOf(table.nodes)[0], "family");
    const found = agreementDifferences([table, table], { a: family, b: family, isSame: true }, [["half", "noisy"]], CONTEXT); // prettier-ignore
    const [ofHalf, ofNoisy] = ["half", "noisy"].map((name) =>
      groups.find((group) => {
        const { score, layer, position } = group as Record<string, unknown>;
        return score === name && layer === null && position === null;
      }),
    );
    for (const { statistic, a, b, difference } of found) {
      expect(ofHalf).toMatchObject({ weighted: { [statistic]: a } });
      expect(ofNoisy).toMatchObject({ weighted: { [statistic]: b } });
      const written = (differences as { position: number | null; weighted: Record<string, { value: number }> }[]).find(({ position }) => position === null); // prettier-ignore
      if (written?.weighted[statistic] !== undefined)
        expect(written.weighted[statistic].value).toBeCloseTo(-must(difference.value, "value"), 14);
    }
  });
});

test("truth.parquet is read back as the table that it was written from", async () => {
  const table = tableOf({ one: noisy, two: (effect) => -effect });
  table.present[4] = 0;
  const plan = {
    prompts: Array.from({ length: PROMPTS }, (_, p) => promptOf(p)),
    fingerprints: { model: "m", saes: null, dataset: "d" },
    sweep: { metric: { reduce: "max" } },
  } as unknown as Plan;
  const environment = { code: "c", backend: "b", device: "d", threads: 1, dtype: "float32", tfjs: "t" };
  const provenance = { plan, planHash: "h", environment, missingPrompts: [] };
  const { rows, metadata } = await decodeParquet(encodeTruthRows(table, [], provenance));
  expect(metadata).toEqual(artifactMetadata(provenance, "none: effect = metric_patched - metric_clean"));
  const read = truthOfRows(rows, { nodes: table.nodes, prompts: PROMPTS, scores: ["one", "two"] });
  const hide = (values: Float64Array): Float64Array => values.map((value, i) => (table.present[i] === 1 ? value : 0));
  expect(read).toEqual({
    ...table,
    metricPatched: hide(table.metricPatched),
    ran: table.present,
    scores: new Map([...table.scores].map(([name, values]) => [name, hide(values)])),
  });
});
