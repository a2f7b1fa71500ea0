/** @file What every piece of a layer is computed with. */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { LayerParts, LayerType, ModelConfig } from "../families/family.js";
import type { BackwardRules } from "./backward-rules.js";
import type { Products } from "./products.js";

/** Weights of one layer; matrices are `[in, out]`. */
export type LayerWeights = LayerParts<Tensor>;

/** A part of a layer with these weights, and the rules of its backward pass. */
export interface PartContext<Weights> {
  readonly config: ModelConfig;
  readonly weights: Weights;
  readonly rules: BackwardRules;
  readonly products: Products;
}

/** A whole layer. */
export interface LayerContext extends PartContext<LayerWeights> {
  readonly kind: LayerType;
}
