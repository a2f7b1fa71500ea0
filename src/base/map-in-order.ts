/** @file Asynchronous work on many items, a bounded number of them at once. */

/** Maps with at most `atOnce` calls under way; results keep the order of `items`. The first failure is thrown. */
export async function mapInOrder<T, R>(
  items: readonly T[],
  atOnce: number,
  map: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length);
  const entries = items.entries(); // Shared: each lane takes the next item.
  const lane = async (): Promise<void> => {
    for (const [index, item] of entries) results[index] = await map(item, index);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return results;
}
