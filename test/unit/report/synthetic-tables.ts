/** @file The tables of a synthetic run that do not follow from its nodes, and what all of its tables share. */
import { createRng, type Rng } from "../../../src/base/rng.js";
import { nodeHook } from "../../../src/nodes/node.js";
import { SAE_SITES, siteHook, type SaeSiteAt } from "../../../src/nodes/site.js";
import { type Column, encodeParquet } from "../../../src/artifacts/parquet.js";

/** Sizes of the synthetic run. */
export const [LAYERS, POSITIONS, FEATURES, PROMPTS] = [5, 6, 8, 18];

/** Every site of every layer. */
export function sites(): SaeSiteAt[] {
  return Array.from({ length: LAYERS }, (_, layer) => SAE_SITES.map((site) => ({ site, layer }))).flat();
}

/** Every position. */
export function positions(): number[] {
  return Array.from({ length: POSITIONS }, (_, t) => t);
}

export const strings = (name: string, values: string[]): Column => ({ name, type: "STRING", values });
export const integers = (name: string, values: readonly number[]): Column => ({
  name,
  type: "INT32",
  values: Int32Array.from(values),
});
export const doubles = (name: string, values: ArrayLike<number>): Column => ({
  name,
  type: "DOUBLE",
  values: Float64Array.from(values),
});

/** `components.parquet`. */
export function encodeComponents(): Uint8Array {
  const rng = createRng(2, "components");
  const hooks = sites().flatMap((at) => [nodeHook(at, "error"), ...(at.site === "resid_post" ? [siteHook(at)] : [])]);
  const rows = hooks.flatMap((hook) =>
    positions().map((position) => ({
      hook,
      position,
      delta: position < 2 ? 0 : Math.exp(rng.normal()),
      grad: Math.exp(rng.normal()),
      cosine: Math.tanh(rng.normal()),
    })),
  );
  return encodeParquet(
    [
      [
        strings(
          "hook",
          rows.map(({ hook }) => hook),
        ),
        integers(
          "position",
          rows.map(({ position }) => position),
        ),
        doubles(
          "delta_norm",
          rows.map(({ delta }) => delta),
        ),
        doubles(
          "grad_norm",
          rows.map(({ grad }) => grad),
        ),
        doubles(
          "cosine",
          rows.map(({ cosine }) => cosine),
        ),
        doubles(
          "dot",
          rows.map(({ delta, grad, cosine }) => delta * grad * cosine),
        ),
      ],
    ],
    {},
  );
}

/** `truth.parquet`: metrics and effects, node after node. @param effects - `[P, N]`. */
export function encodeTruth(effects: Float64Array, nodes: number): Uint8Array {
  const prompts = Array.from({ length: nodes * PROMPTS }, (_, row) => row % PROMPTS);
  const nodeOf = (row: number): number => Math.floor(row / PROMPTS);
  return encodeParquet(
    [
      [
        integers("prompt", prompts),
        doubles(
          "metric_clean",
          prompts.map((p) => -3 + p / 20),
        ),
        doubles(
          "metric_corrupted",
          prompts.map((p) => 2 + p / 20),
        ),
        doubles(
          "effect",
          prompts.map((p, row) => effects[p * nodes + nodeOf(row)] ?? Number.NaN),
        ),
      ],
    ],
    {},
  );
}

/** `circuits.parquet`. */
export function encodeCircuits(): Uint8Array {
  const rng: Rng = createRng(3, "circuits");
  const variants = ["all", "no_resid_errors", "no_mlp_attn_errors"];
  const rows = variants.flatMap((variant, v) =>
    Array.from({ length: 12 }, (_, i) => {
      const size = Math.round(3 * 1.9 ** (11 - i));
      const full = 1 / (1 + Math.exp(-(Math.log(size) - 4 - v)));
      return {
        variant,
        i,
        size: i === 11 ? 0 : size,
        value: i === 11 ? 0 : full * (1 - 0.25 * v) + 0.02 * rng.normal(),
      };
    }),
  );
  const column = (name: string, value: (row: (typeof rows)[number]) => number): Column =>
    doubles(name, rows.map(value));
  return encodeParquet(
    [
      [
        strings(
          "circuit",
          rows.map(({ variant, i }) => `${variant}-${String(i).padStart(2, "0")}`),
        ),
        strings(
          "variant",
          rows.map(({ variant }) => variant),
        ),
        column("threshold", ({ i }) => 10 ** (-4 + i / 3)),
        strings(
          "ablation",
          rows.map(() => "mean"),
        ),
        strings(
          "keep",
          rows.map(() => "absolute"),
        ),
        { name: "exempt_early_layers", type: "BOOLEAN", values: rows.map(() => false) },
        integers(
          "n_features",
          rows.map(({ size }) => Math.round(size * 0.8)),
        ),
        integers(
          "n_errors_resid",
          rows.map(({ size }) => Math.round(size * 0.1)),
        ),
        integers(
          "n_errors_other",
          rows.map(({ size }) => Math.round(size * 0.1)),
        ),
        integers(
          "n_sites",
          rows.map(() => 0),
        ),
        integers(
          "n_heads",
          rows.map(() => 0),
        ),
        column("metric_circuit", ({ value }) => 2.5 * value),
        column("metric_full", () => 2.5),
        column("metric_empty", () => 0),
        column("metric_complement", ({ value }) => 0.4 * (1 - value)),
        column("faithfulness", ({ value }) => value),
        column("faithfulness_low", ({ value }) => value - 0.06),
        column("faithfulness_high", ({ value }) => value + 0.06),
        column("faithfulness_mean", ({ value }) => value - 0.02),
        column("completeness", ({ value }) => 0.16 * (1 - value)),
        column("completeness_low", ({ value }) => 0.12 * (1 - value)),
        column("completeness_high", ({ value }) => 0.2 * (1 - value)),
      ],
    ],
    {},
  );
}
