/**
 * @file A layer's products with its matrices: computed, or kept on the way forward so that the way back need not compute them again.
 *
 * The backward pass recomputes a layer's elementwise parts from its input and `z`; with kept products it costs one product for each matrix
 * (`dy Wᵀ`) instead of two.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";

/** The matrices of a layer. */
export type MatrixName = "query" | "key" | "value" | "output" | "gate" | "up" | "down";

/** `x W`, flat rows by matrix. Owner of what it gives: caller. */
export type Products = (name: MatrixName, x_RK: Tensor, matrix_KN: Tensor) => Tensor;

/** Computes them. */
export const computeProducts: Products = (_, x_RK, matrix_KN) => tf.matMul(x_RK, matrix_KN);

/** The products of one layer in one run. Owner of the tensors: this object. */
export class KeptProducts {
  readonly #results = new Map<MatrixName, Tensor>();

  /** Computes products and keeps them. */
  readonly keep: Products = (name, x_RK, matrix_KN) => {
    const result = computeProducts(name, x_RK, matrix_KN);
    this.#results.set(name, tf.keep(tf.clone(result)));
    return result;
  };

  /** The same, keeping the given rows of each product (int32 indexes). */
  keepRows(rows: Tensor): Products {
    return (name, x_RK, matrix_KN) => {
      const result = computeProducts(name, x_RK, matrix_KN);
      this.#results.set(name, tf.keep(tf.gather(result, rows)));
      return result;
    };
  }

  /**
   * Gives the products that were kept, with the gradient of the product; matrices are constants.
   * @param rows takes the rows of a result that the caller works on.
   */
  replay(rows: (result_RN: Tensor) => Tensor = tf.clone): Products {
    return (name, x_RK, matrix_KN) => {
      const value = rows(must(this.#results.get(name), `product ${name}`));
      return tf.customGrad(() => ({ value, gradFunc: (dy) => tf.matMul(dy, tf.transpose(matrix_KN)) }))(x_RK);
    };
  }

  dispose(): void {
    tf.dispose([...this.#results.values()]);
    this.#results.clear();
  }
}
