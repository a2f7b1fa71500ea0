/**
 * @file What a family of models is: how its files are read, what its layers do, and what its tensors are called.
 *
 * A family is one file of plain data and small pure functions. Checkpoints are opened by them (src/weights), and layers are
 * computed by them (src/model); neither names a family. docs/how-to/add-a-family.md walks through such a file.
 */
import { unreachable } from "../base/assert.js";
import type { Site, SiteAt } from "../nodes/site.js";

/** How a layer attends: to the latest `slidingWindow` positions, or to all. */
export type LayerType = "sliding" | "full";

/** A rotary embedding. */
export interface RopeOptions {
  readonly theta: number;
  /** Positions are divided by this. */
  readonly factor: number;
}

/** How layers know positions: by one rotation in all of them, or by one for each type of layer. */
export type PositionRule =
  | { readonly kind: "rope"; readonly rope: RopeOptions }
  | { readonly kind: "rope_by_layer_type"; readonly ropes: Readonly<Record<LayerType, RopeOptions>> };

/** Every norm of a model. */
export interface NormRule {
  readonly kind: "rms";
  readonly eps: number;
  /** A norm's gain is the stored weight plus this. */
  readonly offset: number;
}

/** Elementwise nonlinearities of MLPs. */
export type Activation = "gelu_tanh";

/** Every MLP of a model. */
export interface MlpRule {
  readonly kind: "gated";
  readonly activation: Activation;
}

/** Sizes of a model and the rules of its layers: everything that the equations need besides the weights. */
export interface ModelConfig {
  readonly family: ModelFamily;
  readonly nLayers: number;
  readonly dModel: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly dMlp: number;
  readonly vocabSize: number;
  /** The residual stream before layer 0 is the token's embedding row times this. */
  readonly embeddingFactor: number;
  readonly norm: NormRule;
  /** Whether what attention and MLP add passes a norm before it is added. */
  readonly postNorms: boolean;
  /** Whether each head's query and key pass a norm before they are rotated. */
  readonly queryKeyNorm: boolean;
  readonly positions: PositionRule;
  /** Attention scores are divided by the square root of this. */
  readonly queryPreAttnScalar: number;
  /** Tokens a sliding layer sees, the current one included. */
  readonly slidingWindow: number;
  readonly layerTypes: readonly LayerType[];
  readonly mlp: MlpRule;
  /** null: no cap. */
  readonly attnSoftcap: number | null;
  readonly finalSoftcap: number | null;
  readonly maxPositions: number;
  readonly bosId: number;
  readonly padId: number;
  readonly eosId: number;
}

/** The rotary embedding of layers of a type. */
export function ropeOf({ positions }: Pick<ModelConfig, "positions">, type: LayerType): RopeOptions {
  switch (positions.kind) {
    case "rope":
      return positions.rope;
    case "rope_by_layer_type":
      return positions.ropes[type];
    default:
      return unreachable(positions);
  }
}

/** Width of a site's activation. */
export function siteWidth({ site }: Pick<SiteAt, "site">, { nHeads, headDim, dModel, dMlp }: ModelConfig): number {
  const widths: Readonly<Record<Site, number>> = {
    attn_z: nHeads * headDim,
    mlp_post: dMlp,
    mlp_out: dModel,
    resid_post: dModel,
  };
  return widths[site];
}

/** A tensor of a checkpoint by what it is: a linear layer, stored `[out, in]`, or the weight of a norm. */
export type StoredTensor =
  | { readonly kind: "matrix"; readonly name: string; readonly shape: readonly [outputs: number, inputs: number] }
  | { readonly kind: "gain"; readonly name: string; readonly shape: readonly [width: number] };

/** The weights of one attention block: where a file has them, or what is on the device. There matrices are `[in, out]`. */
export interface AttentionParts<Weight> {
  /** Gain of the norm before attention. */
  readonly inputGain_D: Weight;
  readonly query_DZ: Weight;
  readonly key_DJ: Weight;
  readonly value_DJ: Weight;
  readonly output_ZD: Weight;
  /** Gains of the norms of each head's query and key, in models that have them. */
  readonly queryGain_H?: Weight;
  readonly keyGain_H?: Weight;
  /** Gain of the norm of what attention adds, in models that have one. */
  readonly postAttentionGain_D?: Weight;
}

/** The weights of one MLP. */
export interface MlpParts<Weight> {
  /** Gain of the norm before the MLP. */
  readonly preMlpGain_D: Weight;
  readonly gate_DM: Weight;
  readonly up_DM: Weight;
  readonly down_MD: Weight;
  /** Gain of the norm of what the MLP adds, in models that have one. */
  readonly postMlpGain_D?: Weight;
}

/** The weights of one layer. */
export interface LayerParts<Weight> extends AttentionParts<Weight>, MlpParts<Weight> {}

/** The same parts, in the same order, each made into something else. */
export function mapParts<From, To>(parts: LayerParts<From>, make: (part: From) => To): LayerParts<To> {
  const entries = Object.entries(parts) as [string, From][];
  return Object.fromEntries(entries.map(([name, part]) => [name, make(part)])) as unknown as LayerParts<To>;
}

/** Every tensor of a model. */
export interface ModelTensors {
  /** The token embedding, `[V, D]`; also the unembedding. */
  readonly embedding: StoredTensor;
  readonly layers: readonly LayerParts<StoredTensor>[];
  /** Gain of the norm after the last layer. */
  readonly finalGain: StoredTensor;
}

/** The tensors of a model of this config. */
export function tensorsOf(config: ModelConfig): ModelTensors {
  return config.family.tensors(config);
}

/** Shapes by name, in the order of files that are written here: embedding, layers, last norm. */
export function tensorShapes(config: ModelConfig): Map<string, readonly number[]> {
  const { embedding, layers, finalGain } = tensorsOf(config);
  const parts = layers.flatMap((layer) => Object.values(layer) as StoredTensor[]);
  return new Map([embedding, ...parts, finalGain].map(({ name, shape }) => [name, shape]));
}

/** What prompts begin with: a token of their own, or nothing but their text. */
export type BosRule =
  | {
      readonly kind: "in_front";
      /** Unless tokenizer_config.json names another. */
      readonly token: string;
    }
  | { readonly kind: "none" };

/** Tokens of a vocabulary that stand for no text. */
export interface SpecialTokens {
  readonly bos: string;
  readonly eos: string;
  readonly pad: string;
  readonly unk: string;
}

/** What a GGUF file says of its vocabulary. */
export interface GgufVocabulary {
  readonly vocabSize: number;
  readonly bosId: number;
  readonly padId: number;
  readonly eosId: number;
}

/** How llama.cpp stores a family. */
export interface GgufRules {
  /** `general.architecture` of its files. */
  readonly architecture: string;
  readonly specialTokens: SpecialTokens;
  /**
   * Checks the metadata of a file, and gives what makes a config of it.
   * @throws PatchbayError `bad_input` naming the field at fault.
   */
  readonly readConfig: (metadata: unknown, file: string) => (vocabulary: GgufVocabulary) => ModelConfig;
}

/** Reads a config.json. @throws PatchbayError `bad_input` naming the field at fault. */
export type ConfigReader = (file: string) => ModelConfig;

/** One architecture. */
export interface ModelFamily {
  /** Its name in messages: "Gemma-2". */
  readonly title: string;
  /** The line of models that it belongs to: "Gemma". */
  readonly brand: string;
  /** `model_type` of its own config.json. */
  readonly modelType: string;
  /** How a config.json is read, by the `model_type` in it: the own one, and those of larger models that hold such a model. */
  readonly readers: ReadonlyMap<string, ConfigReader>;
  /** Text of the config.json that reads back equal. */
  readonly configText: (config: ModelConfig) => string;
  /** Every tensor by its part in the equations. Layers' parts are in the order of files that are written here. */
  readonly tensors: (config: ModelConfig) => ModelTensors;
  /** What names of tensors begin with: that of {@link tensors}, and what files of larger models put in its place. */
  readonly prefixes: readonly [own: string, ...others: string[]];
  readonly bos: BosRule;
  /** Left out: GGUF files of this family are not read. */
  readonly gguf?: GgufRules;
}
