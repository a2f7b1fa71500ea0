import { expect, test } from "vitest";
import { mapInOrder } from "../../../src/base/map-in-order.js";

/** Lets others go on; the larger `turns`, the later this one does. */
async function yieldFor(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await Promise.resolve();
}

test("results keep the order of the items, whoever ends first, and no more run at once than allowed", async () => {
  let running = 0;
  let most = 0;
  const squares = await mapInOrder([5, 1, 4, 2, 3, 0], 2, async (item, index) => {
    most = Math.max(most, ++running);
    await yieldFor(item);
    running--;
    return [item * item, index];
  });
  expect(squares).toEqual([25, 1, 16, 4, 9, 0].map((square, index) => [square, index]));
  expect(most).toBe(2);
});

test("no items need nothing, and a failure is thrown", async () => {
  expect(await mapInOrder([], 8, () => Promise.reject(new Error("never called")))).toEqual([]);
  await expect(mapInOrder([1, 2, 3], 2, (item) => Promise.reject(new Error(String(item))))).rejects.toThrow("1");
});
