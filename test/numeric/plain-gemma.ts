/**
 * @file A Gemma, or what differs from one by these settings, in plain float64 loops, one prompt at a time: an implementation that
 * shares no equation with src/.
 *
 * It reads config.json and the tensors of a Gemma's folder itself. Everything that RelP holds constant passes through a {@link Tape}:
 * recorded in one run and replayed in another, it turns the model into the linear function that RelP differentiates.
 */
import { readFileSync } from "node:fs";
import { must } from "../../src/base/assert.js";
import type { Prompt } from "../../src/nodes/prompt.js";
import { siteHook } from "../../src/nodes/site.js";
import type { NamedArray } from "../../src/weights/named-array.js";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";

/** Rows of a matrix. */
export type Rows = readonly (readonly number[])[];

type Site = "attn_z" | "mlp_out" | "resid_post";
/** What becomes of a site's activation. */
export type PlainHook = (site: Site, layer: number, x: Rows) => Rows;

/** Sizes and options. */
export interface PlainSettings {
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scalar: number;
  readonly eps: number;
  readonly window: number;
  readonly attentionCap: number | null;
  readonly finalCap: number | null;
  readonly queryKeyNorms: boolean;
  readonly postNorms: boolean;
  /** A norm's gain is its weight plus this. */
  readonly gainOffset: number;
  readonly embeddingFactor: number;
  readonly slides: (layer: number) => boolean;
  /** Rope's base and the factor by which positions are divided. */
  readonly rope: (layer: number) => readonly [base: number, factor: number];
}

/** A checkpoint folder as numbers. */
export interface PlainGemma {
  readonly settings: PlainSettings;
  /** By a Gemma's names. */
  /** A norm's weight is one row; a matrix is as stored, `[out, in]`. */
  readonly tensor: (name: string) => Rows;
}

/** Constants of one run, in the order in which they are asked for. */
export class Tape {
  private readonly values: unknown[] = [];
  private next = 0;
  private replaying = false;

  /** From now on gives the recorded values again, from the first. */
  rewind(): this {
    this.replaying = true;
    this.next = 0;
    return this;
  }

  constant<T>(compute: () => T): T {
    if (!this.replaying) this.values.push(compute());
    return this.values[this.replaying ? this.next++ : this.values.length - 1] as T;
  }
}

/** Reads a folder with one safetensors file. */
export async function readPlainGemma(folder: string): Promise<PlainGemma> {
  const config = JSON.parse(readFileSync(`${folder}/config.json`, "utf8")) as Record<string, unknown>;
  const { arrays } = await readSafetensorsFile(`${folder}/model.safetensors`);
  return { settings: settingsOf(config), tensor: rowsOf(arrays) };
}

/** Each array as rows, made when it is first asked for. */
export function rowsOf(arrays: ReadonlyMap<string, NamedArray>): PlainGemma["tensor"] {
  const cache = new Map<string, Rows>();
  return (name) => {
    const known = cache.get(name);
    if (known !== undefined) return known;
    const { shape, values } = must(arrays.get(name), name);
    const width = must(shape.at(-1), "width");
    const rows = Array.from({ length: values.length / width }, (_, r) =>
      Array.from(values.subarray(r * width, (r + 1) * width), Number),
    );
    cache.set(name, rows);
    return rows;
  };
}

function settingsOf(config: Record<string, unknown>): PlainSettings {
  const number = (key: string): number => must(config[key] as number | undefined, key);
  const gemma3 = config["model_type"] === "gemma3_text";
  const types = config["layer_types"] as string[] | undefined;
  const slides = (layer: number): boolean =>
    types === undefined ? (layer + 1) % number("sliding_window_pattern") !== 0 : types[layer] === "sliding_attention";
  const scaling = config["rope_scaling"] as { factor: number } | null | undefined;
  return {
    layers: number("num_hidden_layers"),
    heads: number("num_attention_heads"),
    kvHeads: number("num_key_value_heads"),
    headDim: number("head_dim"),
    scalar: number("query_pre_attn_scalar"),
    eps: number("rms_norm_eps"),
    window: number("sliding_window"),
    attentionCap: (config["attn_logit_softcapping"] as number | null | undefined) ?? null,
    finalCap: (config["final_logit_softcapping"] as number | null | undefined) ?? null,
    queryKeyNorms: gemma3,
    postNorms: true,
    gainOffset: 1,
    embeddingFactor: Math.sqrt(number("hidden_size")),
    slides,
    rope: (layer) =>
      gemma3 && slides(layer) ? [number("rope_local_base_freq"), 1] : [number("rope_theta"), scaling?.factor ?? 1],
  };
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * must(b[i], "b"), 0);
const times = (x: Rows, out_in: Rows): number[][] => x.map((row) => out_in.map((w) => dot(row, w)));
const plus = (a: Rows, b: Rows): number[][] => a.map((row, r) => row.map((x, i) => x + must(b[r]?.[i], "b")));

function norm(x: Rows, weight: Rows, { eps, gainOffset }: PlainSettings, tape: Tape): number[][] {
  const w = must(weight[0], "weight");
  return x.map((row) => {
    const scale = tape.constant(() => 1 / Math.sqrt(dot(row, row) / row.length + eps));
    return row.map((v, i) => v * scale * (gainOffset + must(w[i], "w")));
  });
}

function byRatio(x: number, apply: (x: number) => number, tape: Tape): number {
  return x * tape.constant(() => (x === 0 ? apply(1e-9) / 1e-9 : apply(x) / x));
}

const cap = (x: number, limit: number | null, tape: Tape): number =>
  limit === null ? x : byRatio(x, (y) => limit * Math.tanh(y / limit), tape);
const gelu = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

function product(a: number, b: number, tape: Tape): number {
  const [a0, b0] = tape.constant(() => [a, b] as const);
  return 0.5 * (a * b0 + a0 * b);
}

function softmax(scores: readonly number[]): number[] {
  const top = Math.max(...scores);
  const weights = scores.map((s) => Math.exp(s - top));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / total);
}

function rotated(x: readonly number[], position: number, [base, factor]: readonly [number, number]): number[] {
  const half = x.length / 2;
  return x.map((v, i) => {
    const angle = (position / factor) * base ** ((-2 * (i % half)) / x.length);
    const other = i < half ? -must(x[i + half], "x") : must(x[i - half], "x");
    return v * Math.cos(angle) + other * Math.sin(angle);
  });
}

/** Concatenated heads of one layer. */
function attention({ settings, tensor }: PlainGemma, layer: number, x: Rows, tape: Tape): number[][] {
  const { heads, kvHeads, headDim, window } = settings;
  const at = (name: string): Rows => tensor(`model.layers.${String(layer)}.self_attn.${name}.weight`);
  const headsOf = (name: string, normName: string | null): number[][][] =>
    times(x, at(name)).map((row, position) =>
      Array.from({ length: row.length / headDim }, (_, n) => {
        const head = row.slice(n * headDim, (n + 1) * headDim);
        if (normName === null) return head;
        const normed = settings.queryKeyNorms ? norm([head], at(normName), settings, tape)[0] : head;
        return rotated(must(normed, "head"), position, settings.rope(layer));
      }),
    );
  const [q, k, v] = [headsOf("q_proj", "q_norm"), headsOf("k_proj", "k_norm"), headsOf("v_proj", null)];
  return q.map((queries, t) =>
    queries.flatMap((query, n) => {
      const kv = Math.floor((n * kvHeads) / heads);
      const first = settings.slides(layer) ? Math.max(0, t - window + 1) : 0;
      const pattern = tape.constant(() =>
        softmax(
          k
            .slice(first, t + 1)
            .map((keys) =>
              cap(dot(query, must(keys[kv], "key")) / Math.sqrt(settings.scalar), settings.attentionCap, new Tape()),
            ),
        ),
      );
      return Array.from({ length: headDim }, (_, h) =>
        pattern.reduce((sum, p, s) => sum + p * must(v[first + s]?.[kv]?.[h], "value"), 0),
      );
    }),
  );
}

function mlp({ settings, tensor }: PlainGemma, layer: number, mid: Rows, tape: Tape): number[][] {
  const at = (name: string): Rows => tensor(`model.layers.${String(layer)}.${name}.weight`);
  const y = norm(mid, at("pre_feedforward_layernorm"), settings, tape);
  const [gate, up] = [times(y, at("mlp.gate_proj")), times(y, at("mlp.up_proj"))];
  const hidden = gate.map((row, r) => row.map((g, i) => product(byRatio(g, gelu, tape), must(up[r]?.[i], "up"), tape)));
  const out = times(hidden, at("mlp.down_proj"));
  return settings.postNorms ? norm(out, at("post_feedforward_layernorm"), settings, tape) : out;
}

/** Logits of all tokens at the last position. */
export function plainLogits(
  model: PlainGemma,
  ids: readonly number[],
  { tape = new Tape(), hook = (_site, _layer, x) => x }: { readonly tape?: Tape; readonly hook?: PlainHook } = {},
): number[] {
  const { settings, tensor } = model;
  const embedding = tensor("model.embed_tokens.weight");
  let h: Rows = ids.map((id) => must(embedding[id], "token").map((v) => v * settings.embeddingFactor));
  for (let layer = 0; layer < settings.layers; layer++) {
    const at = (name: string): Rows => tensor(`model.layers.${String(layer)}.${name}.weight`);
    const x = norm(h, at("input_layernorm"), settings, tape);
    const z = hook("attn_z", layer, attention(model, layer, x, tape));
    const out = times(z, at("self_attn.o_proj"));
    const mid = plus(h, settings.postNorms ? norm(out, at("post_attention_layernorm"), settings, tape) : out);
    h = hook("resid_post", layer, plus(mid, hook("mlp_out", layer, mlp(model, layer, mid, tape))));
  }
  const last = norm(h.slice(-1), tensor("model.norm.weight"), settings, tape);
  return must(times(last, embedding)[0], "logits").map((v) => cap(v, settings.finalCap, tape));
}

/**
 * RelP of every whole site and position, with no backward pass: with RelP's constants held, the model is linear in a
 * site's activation, so a node's score is what patching it changes in that linear model.
 */
export function plainRelp(model: PlainGemma, prompt: Prompt): Map<string, number[]> {
  const corrupted = new Map<string, Rows>();
  plainLogits(model, must(prompt.corrupted, "pair"), {
    hook: (site, layer, x) => {
      corrupted.set(siteHook({ site, layer }), x);
      return x;
    },
  });
  const tape = new Tape();
  const metric = (logits: readonly number[]): number =>
    must(logits[must(prompt.incorrect[0], "answer")], "logit") - must(logits[prompt.correct], "logit");
  const clean = metric(plainLogits(model, prompt.clean, { tape }));
  const scores = new Map<string, number[]>();
  for (const [hook, donor] of corrupted)
    scores.set(
      hook,
      prompt.clean.map((_, position) => {
        const logits = plainLogits(model, prompt.clean, {
          tape: tape.rewind(),
          hook: (site, layer, x) =>
            siteHook({ site, layer }) === hook ? x.map((row, t) => (t === position ? must(donor[t], "row") : row)) : x,
        });
        return metric(logits) - clean;
      }),
    );
  return scores;
}
