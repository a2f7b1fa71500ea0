/** @file Ticks of axes that count in whole numbers, such as layers and positions. */

/** At most `most` of the values, evenly spaced from the first: each is labelled once, and labels do not crowd. */
export function spacedTicks(values: readonly number[], most: number): number[] {
  const step = Math.ceil(values.length / most);
  return values.filter((_, i) => i % step === 0);
}
