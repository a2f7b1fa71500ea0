import fc from "fast-check";
import { expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { ShardList, type ShardMark } from "../../../src/coordinator/shard-list.js";
import { sharedState, type ShardState } from "../../../src/coordinator/shard.js";

const PHASES = ["pending", "leased", "reported", "done", "quarantined"] as const;
const MARKS: readonly ShardMark[] = [...PHASES, "failed"];

const shard: fc.Arbitrary<ShardState> = fc.record({
  phase: fc.constantFrom(...PHASES),
  attempts: fc.nat(5),
  spent: fc.constant({ lost: 0, memory: 0, application: 0 }),
  avoid: fc.constant([]),
  holder: fc.constant(null),
  failure: fc.constantFrom(null, { code: "application", message: "because" }),
});
/** Lengths around the sizes at which the tree has a part or a level more. */
const shards = fc
  .constantFrom(0, 1, 31, 32, 33, 65, 1023, 1024, 1025, 2100)
  .chain((length) => fc.array(shard, { minLength: length, maxLength: length }));
const changes = fc.array(fc.tuple(fc.nat(), shard), { maxLength: 12 });

function hasMark({ phase, failure }: ShardState, mark: ShardMark): boolean {
  return mark === "failed" ? failure !== null : phase === mark;
}

function expectSame(list: ShardList, array: readonly ShardState[]): void {
  expect(list.length).toBe(array.length);
  expect([...list]).toEqual(array);
  expect(array.every((one, i) => list.at(i) === sharedState(one))).toBe(true);
  for (const mark of MARKS) {
    const indexes = array.flatMap((one, i) => (hasMark(one, mark) ? [i] : []));
    expect([...list.indexesOf(mark)]).toEqual(indexes);
    expect(list.counts[mark]).toBe(indexes.length);
  }
}

test("a list says what an array of the same shards says, after any changes, and the lists before stay as they were", () => {
  fc.assert(
    fc.property(shards, changes, (start, edits) => {
      const versions = [{ list: ShardList.from(start), array: start }];
      for (const [at, after] of start.length === 0 ? [] : edits) {
        const { list, array } = must(versions.at(-1), "version");
        const index = at % array.length;
        versions.push({ list: list.with(index, after), array: array.with(index, after) });
      }
      for (const { list, array } of versions) expectSame(list, array);
    }),
    { numRuns: 60 },
  );
});

test("an index beyond the list is a bug", () => {
  const [one] = fc.sample(shard, { numRuns: 1, seed: 1 });
  const list = ShardList.from(Array.from({ length: 1025 }, () => must(one, "shard")));
  for (const index of [-1, 1025, 4000]) {
    expect(() => list.at(index)).toThrow(`shard ${String(index)} of 1025 is missing`);
    expect(() => list.with(index, list.at(0))).toThrow("is missing");
  }
});

test("the shards of a mark are found without a look at the others", () => {
  const looks: number[] = [];
  const [plain] = fc.sample(shard, { numRuns: 1, seed: 1 });
  const watched = Array.from({ length: 40_000 }, (_, index): ShardState => ({
    ...must(plain, "shard"),
    get phase() {
      looks.push(index);
      return index === 20_000 ? "quarantined" : "pending";
    },
  }));
  const list = ShardList.from(watched);
  looks.length = 0;
  expect([...list.indexesOf("quarantined")]).toEqual([20_000]);
  expect(looks.length).toBeLessThanOrEqual(32);
});
