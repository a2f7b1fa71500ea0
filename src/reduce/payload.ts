/**
 * @file Payloads of the run log: the results of one shard as safetensors bytes, and back.
 *
 * A payload holds what one block of prompts gave, never a mean; the reducer adds payloads in float64, in shard order.
 */
import { must } from "../base/assert.js";
import type { CircuitsResult, Components, MeansResult, ScoresResult, TruthResult } from "../attribution/results.js";
import { type DenseKind, isDenseKind, NODE_KINDS } from "../nodes/kinds.js";
import type { NamedArray, NumericArray } from "../weights/named-array.js";
import { decodeSafetensors, encodeSafetensors } from "../weights/safetensors.js";

type Arrays = ReadonlyMap<string, NamedArray>;

const flat = (values: NumericArray): NamedArray => ({ shape: [values.length], values });

/** Encodes {@link MeansResult}. Keys: `metric_clean`, `<site hook>/index|sum|differs`, `<site hook>/error`, `<site hook>/site`. */
export function encodeMeans({ metricClean, metricCorrupted, features, errors, sites }: MeansResult): Uint8Array {
  const arrays = new Map([["metric_clean", flat(metricClean)]]);
  if (metricCorrupted !== null) arrays.set("metric_corrupted", flat(metricCorrupted));
  for (const [hook, { index, sum, differs }] of features) {
    arrays.set(`${hook}/index`, flat(index)).set(`${hook}/sum`, flat(sum)).set(`${hook}/differs`, flat(differs));
  }
  for (const [hook, sum] of errors) arrays.set(`${hook}/error`, flat(sum));
  for (const [hook, sum] of sites) arrays.set(`${hook}/site`, flat(sum));
  return encodeSafetensors(arrays);
}

/** Decodes what {@link encodeMeans} wrote. */
export function decodeMeans(payload: Uint8Array): MeansResult {
  const { arrays } = decodeSafetensors(payload);
  const corrupted = arrays.get("metric_corrupted");
  return {
    metricClean: float64(arrays, "metric_clean"),
    metricCorrupted: corrupted === undefined ? null : float64(arrays, "metric_corrupted"),
    features: collect(arrays, "/index", (hook) => ({
      index: int32(arrays, `${hook}/index`),
      sum: float64(arrays, `${hook}/sum`),
      differs: int32(arrays, `${hook}/differs`),
    })),
    errors: collect(arrays, "/error", (hook) => float64(arrays, `${hook}/error`)),
    sites: collect(arrays, "/site", (hook) => float64(arrays, `${hook}/site`)),
  };
}

const COMPONENT_KEYS = ["deltaNorm", "gradNorm", "cosine", "dot"] as const satisfies readonly (keyof Components)[];

/** Encodes {@link ScoresResult}. Keys: `<site hook>/pointer|index|value` of features, `<site hook>/<other kind>`, `<hook>/<component>`. */
export function encodeScores({ components, ...scores }: ScoresResult): Uint8Array {
  const arrays = new Map<string, NamedArray>();
  for (const [hook, { pointer, index, value }] of scores.feature) {
    arrays.set(`${hook}/pointer`, flat(pointer)).set(`${hook}/index`, flat(index)).set(`${hook}/value`, flat(value));
  }
  for (const kind of NODE_KINDS.filter(isDenseKind))
    for (const [hook, values] of scores[kind]) arrays.set(`${hook}/${kind}`, flat(values));
  for (const [hook, parts] of components)
    for (const key of COMPONENT_KEYS) arrays.set(`${hook}/${key}`, flat(parts[key]));
  return encodeSafetensors(arrays);
}

/** Decodes what {@link encodeScores} wrote. */
export function decodeScores(payload: Uint8Array): ScoresResult {
  const { arrays } = decodeSafetensors(payload);
  const dense = {} as Record<DenseKind, ReadonlyMap<string, Float32Array>>;
  for (const kind of NODE_KINDS.filter(isDenseKind))
    dense[kind] = collect(arrays, `/${kind}`, (hook) => float32(arrays, `${hook}/${kind}`));
  return {
    ...dense,
    feature: collect(arrays, "/pointer", (hook) => ({
      pointer: int32(arrays, `${hook}/pointer`),
      index: int32(arrays, `${hook}/index`),
      value: float32(arrays, `${hook}/value`),
    })),
    components: collect(arrays, "/deltaNorm", (hook) => ({
      deltaNorm: float32(arrays, `${hook}/deltaNorm`),
      gradNorm: float32(arrays, `${hook}/gradNorm`),
      cosine: float32(arrays, `${hook}/cosine`),
      dot: float32(arrays, `${hook}/dot`),
    })),
  };
}

/** Encodes {@link TruthResult}. */
export function encodeTruth({ metricClean, metricCorrupted, metricPatched, ran }: TruthResult): Uint8Array {
  return encodeSafetensors(
    new Map([
      ["metric_clean", flat(metricClean)],
      ["metric_corrupted", flat(metricCorrupted)],
      ["metric_patched", flat(metricPatched)],
      ["ran", flat(ran)],
    ]),
  );
}

/** Decodes what {@link encodeTruth} wrote. */
export function decodeTruth(payload: Uint8Array): TruthResult {
  const { arrays } = decodeSafetensors(payload);
  const ran = must(arrays.get("ran"), "ran").values;
  if (!(ran instanceof Uint8Array)) throw new Error("bug: `ran` is not uint8");
  return {
    metricClean: float64(arrays, "metric_clean"),
    metricCorrupted: float64(arrays, "metric_corrupted"),
    metricPatched: float64(arrays, "metric_patched"),
    ran,
  };
}

/** Encodes {@link CircuitsResult}. */
export function encodeCircuits({ metric }: CircuitsResult): Uint8Array {
  return encodeSafetensors(new Map([["metric", flat(metric)]]));
}

/** Decodes what {@link encodeCircuits} wrote. */
export function decodeCircuits(payload: Uint8Array): CircuitsResult {
  return { metric: float64(decodeSafetensors(payload).arrays, "metric") };
}

function collect<T>(arrays: Arrays, tail: string, read: (hook: string) => T): Map<string, T> {
  const hooks = [...arrays.keys()].filter((key) => key.endsWith(tail)).map((key) => key.slice(0, -tail.length));
  return new Map(hooks.map((hook) => [hook, read(hook)]));
}

function float64(arrays: Arrays, key: string): Float64Array {
  return typed(arrays, key, Float64Array);
}

function float32(arrays: Arrays, key: string): Float32Array {
  return typed(arrays, key, Float32Array);
}

function int32(arrays: Arrays, key: string): Int32Array {
  return typed(arrays, key, Int32Array);
}

function typed<T extends NumericArray>(arrays: Arrays, key: string, kind: abstract new (...args: never[]) => T): T {
  const { values } = must(arrays.get(key), `payload array ${key}`);
  if (!(values instanceof kind)) throw new Error(`bug: payload array ${key} has the wrong type`);
  return values;
}
