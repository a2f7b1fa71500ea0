/** @file Numbers as text: no more digits than the interval carries, a true minus sign, a dash for what is undefined. */

/** Stands for an undefined number. */
export const UNDEFINED = "–";

/** An estimate with bounds; null where undefined. */
export interface Bounded {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** Three significant digits, in fixed notation between 0.001 and a million. */
export function formatNumber(value: number | null, significant = 3): string {
  if (value === null || !Number.isFinite(value)) return UNDEFINED;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) {
    const [digits = "", exponent = ""] = size.toExponential(significant - 1).split("e");
    return `${value < 0 ? "−" : ""}${digits}e${exponent.replace("-", "−").replace("+", "")}`;
  }
  return fixed(value, Math.max(0, significant - 1 - Math.floor(Math.log10(size))));
}

/** A count, with groups of three digits apart. */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** `1 prompt`, `12 prompts`. */
export function counted(count: number, what: string): string {
  return `${formatCount(count)} ${what}${count === 1 ? "" : "s"}`;
}

/** A share of 1 in percent. */
export function formatPercent(share: number | null, decimals = 1): string {
  return share === null || !Number.isFinite(share) ? UNDEFINED : `${fixed(100 * share, decimals)}\u202f%`;
}

/** An estimate and its interval with two decimals: for shares of a metric, which mean nothing beyond. */
export function formatShare({ value, low, high }: Bounded): string {
  if (value === null || !Number.isFinite(value)) return UNDEFINED;
  if (low === null || high === null || !Number.isFinite(low + high)) return fixed(value, 2);
  return `${fixed(value, 2)} [${fixed(low, 2)}, ${fixed(high, 2)}]`;
}

/** `0.83 [0.79, 0.87]`; two digits of the interval's half width count, up to `most` decimals. */
export function formatInterval({ value, low, high }: Bounded, most = 6): string {
  if (low === null || high === null) return formatNumber(value);
  if (value === null) return UNDEFINED;
  const decimals = Math.min(most, decimalsOf((high - low) / 2, value));
  return `${fixed(value, decimals)} [${fixed(low, decimals)}, ${fixed(high, decimals)}]`;
}

/** A correlation or share: two decimals, near 1 as many as the difference from 1 needs and the interval carries, no leading zero. `.93 [.91, .95]`. */
export function formatCorrelation(bounded: Bounded): string {
  const { value, low, high } = bounded;
  if (value === null) return UNDEFINED;
  const numbers = [value, low ?? value, high ?? value];
  const near = decimalsNear1(Math.abs(value));
  const width = low === null || high === null ? 0 : high - low;
  const decimals = width > 0 ? Math.max(2, Math.min(near, decimalsOf(width / 2, value))) : near;
  const [v = "", l = "", h = ""] = numbers.map((one) => fixed(one, decimals).replace(/^(−?)0\./, "$1."));
  return low === null || high === null ? v : `${v} [${l}, ${h}]`;
}

/** Two decimals would round the difference from 1 away; what differs in the seventh decimal is as good as 1. */
function decimalsNear1(size: number): number {
  const rest = 1 - size;
  return rest > 0.005 || rest < 1e-6 ? 2 : Math.ceil(-Math.log10(rest));
}

/** Below this, numbers are spelled with a power of ten: their zeros would fill a tight place. */
const LEAST_SHORT = 1e-3;

/** A number in a tight place: enough decimals for `largest`, no leading zero. */
export function formatShort(value: number, largest: number): string {
  if (largest < LEAST_SHORT) return formatNumber(value, 1);
  const decimals = Math.max(largest < 10 ? 2 : 0, 1 - Math.floor(Math.log10(largest)));
  return fixed(value, decimals).replace(/^(−?)0\./, "$1.");
}

function decimalsOf(halfWidth: number, value: number): number {
  const scale = halfWidth > 0 ? halfWidth : Math.abs(value);
  if (scale === 0) return 0;
  return Math.max(0, 1 - Math.floor(Math.log10(scale)));
}

function fixed(value: number, decimals: number): string {
  const text = Math.abs(value).toFixed(decimals);
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}
