/** @file Colours of mid lightness: readable on white and on near black, told apart along the blue-orange axis. */

/** Series that are told apart by hue, with a dash pattern as a second cue. */
const SERIES = [
  { color: "#3d7fd9", dash: "none" },
  { color: "#d9722e", dash: "7 3" },
  { color: "#2a9d78", dash: "2 3" },
  { color: "#b268c4", dash: "9 3 2 3" },
] as const;

/** Colour and dash of series `index`; beyond the last they repeat. */
export function seriesStyle(index: number): { readonly color: string; readonly dash: string } {
  return SERIES[index % SERIES.length] ?? SERIES[0];
}

/** Below zero and above zero. Size is shown by opacity, so zero vanishes in any background. */
export const NEGATIVE = "#3d7fd9";
export const POSITIVE = "#d9722e";

/** Opacity of a value's colour. By the square root, so that one outlier does not bleach all others. */
export function shadeOf(value: number, largest: number): number {
  return largest > 0 ? Math.sqrt(Math.min(1, Math.abs(value) / largest)) : 0;
}

/** From the first to the last layer. */
export const LAYER_STOPS = ["#2f6fd6", "#7d63d6", "#bd5bb0", "#e0606a", "#dd8a2e"] as const;

/** Colour of layer `layer` of `count`. */
export function layerColor(layer: number, count: number): string {
  const place = count < 2 ? 0 : (layer / (count - 1)) * (LAYER_STOPS.length - 1);
  const low = Math.min(Math.floor(place), LAYER_STOPS.length - 2);
  return mix(LAYER_STOPS[low] ?? "#000000", LAYER_STOPS[low + 1] ?? "#000000", place - low);
}

function mix(a: string, b: string, share: number): string {
  const channels = [1, 3, 5].map((at) => {
    const [from, to] = [a, b].map((color) => Number.parseInt(color.slice(at, at + 2), 16));
    const value = Math.round((from ?? 0) + share * ((to ?? 0) - (from ?? 0)));
    return value.toString(16).padStart(2, "0");
  });
  return `#${channels.join("")}`;
}
