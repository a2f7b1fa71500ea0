/** @file Shards by rule are those that a listing of them has, and a plan of a million of them is small. */
import { createHash } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { FRESH, type ShardState } from "../../../src/coordinator/shard.js";
import { ShardList } from "../../../src/coordinator/shard-list.js";
import { findShard, type Plan, type Shard } from "../../../src/plan/plan.js";
import { parseShardId, shardId, type ShardRule, type SlotRange, StageShards } from "../../../src/plan/stage-shards.js";
import { slotRule, stage } from "../../../src/plan/stages.js";
import { hashOfPlan, openPlan, planTexts } from "../../../src/plan/stored-plan.js";

/** The listing of shards as plans of version 1 held it. */
function listed(
  promptBlocks: readonly (readonly number[])[],
  slotRanges: readonly SlotRange[],
  rows: number,
  sides: number,
): Shard[] {
  const ranges = (start: number, end: number, size: number): SlotRange[] =>
    Array.from({ length: Math.ceil((end - start) / size) }, (_, i) => [
      start + i * size,
      Math.min(end, start + (i + 1) * size),
    ]);
  const work = promptBlocks.flatMap((prompts) => {
    const perShard = Math.max(1, Math.ceil((2 * rows) / (sides * prompts.length)));
    return slotRanges.flatMap(([start, end]) => ranges(start, end, perShard).map((slots) => ({ prompts, slots })));
  });
  return work.map((shard, i) => ({ id: `s.${String(i).padStart(5, "0")}`, ...shard }));
}

const blocks = fc.array(fc.array(fc.nat(99), { minLength: 1, maxLength: 40 }), { maxLength: 6 });
/** Ascending, some of them empty. */
const ranges = fc.array(fc.tuple(fc.nat(3), fc.nat(90)), { maxLength: 5 }).map((steps) => {
  let end = 0;
  return steps.map(([gap, width]): SlotRange => [end + gap, (end += gap + width)]);
});

describe("the shards of a rule", () => {
  it("are those of the listing, by index, in order and by id", () => {
    fc.assert(
      fc.property(blocks, ranges, fc.integer({ min: 1, max: 60 }), fc.constantFrom(1, 2), (all, slots, rows, sides) => {
        const expected = listed(all.slice(1), slots, rows, sides);
        const shards = new StageShards("s", all, slotRule([Math.min(1, all.length), all.length], slots, rows, sides));
        expect([...shards]).toEqual(expected);
        expect(shards.length).toBe(expected.length);
        for (const [i, { id }] of expected.entries()) expect(shards.indexOf(id)).toBe(i);
        expect([...shards.byBlock()].reduce((sum, { count }) => sum + count, 0)).toBe(expected.length);
        expect([...shards.first(all)]).toEqual(expected.slice(0, 1));
      }),
    );
  });

  it("are one for each block without slots, one for each range without cells, and have no prompts without blocks", () => {
    const of = (rule: ShardRule): Shard[] => [...new StageShards("s", [[0, 1], [2]], rule)];
    expect(of({ blocks: [0, 2] })).toEqual([
      { id: "s.00000", prompts: [0, 1] },
      { id: "s.00001", prompts: [2] },
    ]);
    expect(
      of({
        blocks: [1, 2],
        slots: [
          [3, 9],
          [20, 21],
        ],
      }),
    ).toEqual([
      { id: "s.00000", prompts: [2], slots: [3, 9] },
      { id: "s.00001", prompts: [2], slots: [20, 21] },
    ]);
    expect(of({ blocks: null, slots: [[0, 2]], cells: 1 })).toEqual([
      { id: "s.00000", prompts: [], slots: [0, 1] },
      { id: "s.00001", prompts: [], slots: [1, 2] },
    ]);
  });

  it("have ids of five digits, and of more above 99,999; no other spelling is an id", () => {
    expect([7, 99_999, 100_000].map((index) => shardId("a-b", index))).toEqual([
      "a-b.00007",
      "a-b.99999",
      "a-b.100000",
    ]);
    expect(parseShardId("a-b.100000")).toEqual({ stage: "a-b", index: 100_000 });
    for (const other of ["a-b.7", "a-b.000007", "a-b", "a-b.", ".00001", "a-b.0000x"])
      expect(parseShardId(other), other).toBeUndefined();
    const shards = new StageShards("s", [], { blocks: null, slots: [[0, 3]], cells: 1 });
    expect(shards.indexOf("s.00003")).toBeUndefined();
    expect(shards.indexOf("t.00000")).toBeUndefined();
    expect(() => shards.at(3)).toThrow("bug");
  });
});

const MILLION = 1_000_000;
const MIB = 2 ** 20;

/** A plan of a million shards: 1,000 blocks of 25 prompts, and 1,000 ranges of slots. */
function millionPlan(): Plan {
  const promptBlocks = Array.from({ length: 1000 }, (_, b) => Array.from({ length: 25 }, (_, i) => 25 * b + i));
  const slots = Array.from({ length: 1000 }, (_, i): SlotRange => [4 * i, 4 * i + 4]);
  const prompts = Array.from({ length: 25_000 }, (_, line) => ({
    line,
    clean: [2, 1000 + line, 5, 6, 7, 8, 9],
    corrupted: [2, 1001 + line, 5, 6, 7, 8, 9],
    correct: 10,
    incorrect: [11],
  }));
  const rule = slotRule([0, 1000], slots, 1024, 2);
  const stages = [stage("circuits", { kind: "circuits" }, { promptBlocks, rule })];
  return { version: 2, sweep: { name: "million" }, prompts, promptBlocks, donors: null, stages } as unknown as Plan;
}

/** Bytes of live objects that `make` leaves. */
function heapOf<T>(make: () => T): { readonly made: T; readonly bytes: number } {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  const before = process.memoryUsage().heapUsed;
  const made = make();
  collect();
  return { made, bytes: process.memoryUsage().heapUsed - before };
}

describe("a plan of a million shards", () => {
  const plan = millionPlan();
  const texts = planTexts(plan);

  it("has a plan.json of less than 1 MiB, and takes little memory when it is read", () => {
    expect(Buffer.byteLength(texts.plan)).toBeLessThan(MIB);
    const files = { plan: texts.plan, prompts: () => texts.prompts };
    const { made, bytes } = heapOf(() => openPlan(files, hashOfPlan(plan), "plan.json"));
    expect(made.stages[0]?.shards.length).toBe(MILLION);
    expect(bytes).toBeLessThan(30 * MIB);
    expect(made).toEqual(plan);
  });

  it("makes one shard to find one by its id", () => {
    const shards = plan.stages[0]?.shards as StageShards;
    const made = vi.spyOn(shards, "at");
    expect(findShard(plan, "circuits.654321")?.shard).toMatchObject({ prompts: { length: 25 }, slots: [1284, 1288] });
    expect(made).toHaveBeenCalledTimes(1);
  });

  it("is kept by the coordinator in little memory, before its shards are done and after", () => {
    const { made: fresh, bytes } = heapOf(() => ShardList.of(MILLION, () => FRESH));
    expect(bytes).toBeLessThan(2 * MIB);
    const done = heapOf(() => {
      let list = fresh;
      for (let i = 0; i < MILLION; i++) {
        const leased: ShardState = { ...FRESH, phase: "leased", attempts: 1, holder: { worker: "w", lease: "l" } };
        list = list.with(i, leased).with(i, { ...leased, phase: "done", holder: null });
      }
      return list;
    });
    expect(done.made.counts.done).toBe(MILLION);
    expect(done.bytes).toBeLessThan(4 * MIB);
  });
});

describe("a plan on the disk", () => {
  const plan = millionPlan();
  const texts = planTexts(plan);
  const open = (change: Partial<typeof texts>): Plan => {
    const { plan: text, prompts } = { ...texts, ...change };
    return openPlan({ plan: text, prompts: () => prompts }, hashOfPlan(plan), "plan.json");
  };

  it("is named by the hash of plan.json, which names that of the prompts", () => {
    const hash = createHash("sha256").update(texts.plan.trimEnd()).digest("hex");
    expect(hashOfPlan(plan)).toBe(hash);
    expect(texts.plan).toContain(createHash("sha256").update(texts.prompts).digest("hex"));
  });

  it("is refused where either file was changed, or where it is of another version", () => {
    expect(() => open({ plan: texts.plan.replace("million", "billion") })).toThrow("expected the plan");
    expect(() => open({ prompts: texts.prompts.replace("1000", "1001") })).toThrow("plan-prompts.json");
    expect(() => open({ plan: '{"version":1,"stages":[]}' })).toThrow("expected a plan of version 2, found 1");
  });
});
