import { describe, expect, it } from "vitest";
import { must } from "../../../src/base/assert.js";
import { createRng } from "../../../src/base/rng.js";
import { WeightPool, type Pooled } from "../../../src/model/weight-pool.js";

interface Weights {
  readonly name: string;
  dispose(): void;
}

/** A pool of parts of 10 bytes each that notes what is loaded and released. */
function poolOf(
  count: number,
  budgetBytes: number,
): { pool: WeightPool; parts: Pooled<Weights>[]; there: Set<string> } {
  const pool = new WeightPool(budgetBytes);
  const there = new Set<string>();
  const parts = Array.from({ length: count }, (_, i) => {
    const name = `part ${String(i)}`;
    const load = async (): Promise<Weights> => {
      await Promise.resolve();
      expect(there.has(name)).toBe(false);
      there.add(name);
      return { name, dispose: () => there.delete(name) };
    };
    return pool.add({ bytes: 10, load });
  });
  return { pool, parts, there };
}

const up = (parts: Pooled<Weights>[]): Pooled<Weights>[][] => parts.map((part) => [part]);
const down = (parts: Pooled<Weights>[]): Pooled<Weights>[][] => up(parts).reverse();

describe("a pool of weights", () => {
  it("keeps everything that its budget holds, and loads each part once", async () => {
    const { pool, parts, there } = poolOf(5, 50);
    await pool.fill();
    expect(there.size).toBe(5);
    await pool.walk(up(parts), (step) => {
      expect(must(parts[step], "part").now().name).toBe(`part ${String(step)}`);
    });
    expect(pool.facts()).toMatchObject({ loads: 5, loadedBytes: 50, peakBytes: 50 });
    pool.dispose();
    expect(there.size).toBe(0);
  });

  it("loads nothing beforehand where its budget does not hold everything", async () => {
    const { pool, there } = poolOf(5, 49);
    await pool.fill();
    expect(there.size).toBe(0);
  });

  it("stays within its budget, and every step has its part and the next one's is on its way", async () => {
    const { pool, parts, there } = poolOf(6, 20);
    await pool.walk(up(parts), async (step) => {
      expect(must(parts[step], "part").now().name).toBe(`part ${String(step)}`);
      await new Promise(setImmediate);
      if (step < 5) expect(must(parts[step + 1], "part").now()).toBeDefined();
      expect(there.size).toBeLessThanOrEqual(2);
    });
    expect(pool.facts().peakBytes).toBe(20);
  });

  it("reads on every walk only what it could not keep", async () => {
    const { pool, parts } = poolOf(6, 40);
    await pool.walk(up(parts), () => undefined);
    expect(pool.facts().loads).toBe(6);
    await pool.walk(down(parts), () => undefined);
    expect(pool.facts().loads).toBeLessThanOrEqual(9);
    await pool.walk(up(parts), () => undefined);
    expect(pool.facts().loads).toBeLessThanOrEqual(12);
  });

  it("gives a step that needs more than the budget what it needs", async () => {
    const { pool, parts } = poolOf(3, 15);
    await pool.walk([parts, [must(parts[0], "part")]], () => undefined);
    expect(pool.facts()).toMatchObject({ peakBytes: 30 });
  });

  it("does not release what a walk around it still uses", async () => {
    const { pool, parts } = poolOf(4, 20);
    const [first, ...others] = parts;
    await pool.using([must(first, "part")], async () => {
      await pool.walk(up(others), () => undefined);
      expect(must(first, "part").now().name).toBe("part 0");
    });
  });

  it("fails the step whose part cannot be read, not the one before it, and can try again", async () => {
    const { pool, parts } = poolOf(2, 20);
    let broken = true;
    const bad = pool.add({
      bytes: 10,
      load: () =>
        broken
          ? Promise.reject(new Error("the disk is gone"))
          : Promise.resolve({ name: "", dispose: () => undefined }),
    });
    const visited: number[] = [];
    const steps = [...up(parts), [bad]];
    const visit = (step: number): void => void visited.push(step);
    await expect(pool.walk(steps, visit)).rejects.toThrow("the disk is gone");
    expect(visited).toEqual([0, 1]);
    broken = false;
    await pool.walk(steps, visit);
    expect(visited).toEqual([0, 1, 0, 1, 2]);
  });

  it("has each step's parts on the device whatever the walks and the budget", async () => {
    const rng = createRng(3, "walks");
    for (let trial = 0; trial < 50; trial++) {
      const { pool, parts, there } = poolOf(8, 10 * (1 + rng.int(9)));
      await pool.fill();
      for (let walk = 0; walk < 5; walk++) {
        const steps = Array.from({ length: 1 + rng.int(10) }, () => parts.filter(() => rng.uniform() < 0.3));
        await pool.walk(steps, async (step) => {
          await new Promise(setImmediate);
          for (const part of must(steps[step], "step")) expect(there.has(part.now().name)).toBe(true);
        });
      }
      pool.dispose();
      expect(there.size).toBe(0);
    }
  });
});
