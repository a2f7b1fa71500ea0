/** @file What circuit evaluation takes from the prompts' unablated runs: rows before the first change, and keys and values of earlier positions. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { projectQkv } from "../../model/attention.js";
import { flatRows, type Frame, pickRows } from "../../model/layer.js";
import type { LayerContext } from "../../model/layer-context.js";
import type { Run } from "../../passes/capture.js";

/** Keys and values of every position of every row of an evaluation, `[rows x T, J]`. */
export interface KeysAndValues {
  readonly k_UJ: Tensor;
  readonly v_UJ: Tensor;
}

/** Unablated runs of all rows of an evaluation. The runs are their maker's, all else is its own. */
export class Unablated {
  readonly #runs: readonly Run[];
  readonly #frame: Frame;
  readonly #keys = new Map<number, KeysAndValues>();

  /**
   * @param runs of each side, in the order of an evaluation's rows.
   * @param frame of all these rows, which says what is equal among them; its maker's.
   */
  constructor(runs: readonly Run[], frame: Frame) {
    this.#runs = runs;
    this.#frame = frame;
  }

  /** Input of a layer, `[rows x T, D]`. Owner: caller. */
  input(layer: number): Tensor {
    return joined(this.#runs.map((run) => run.input(layer)));
  }

  /** Keys and values of a layer, which is on the device. They are made once. */
  keys(context: LayerContext, layer: number): KeysAndValues {
    const known = this.#keys.get(layer);
    if (known !== undefined) return known;
    const made = tf.tidy(() => {
      const { k_RJ, v_RJ } = projectQkv(
        context,
        pickRows(this.input(layer), this.#frame),
        this.#frame.ropes[context.kind],
      );
      return { k_UJ: flatRows(k_RJ, this.#frame), v_UJ: flatRows(v_RJ, this.#frame) };
    });
    this.#keys.set(layer, made);
    return made;
  }

  dispose(): void {
    for (const { k_UJ, v_UJ } of this.#keys.values()) tf.dispose([k_UJ, v_UJ]);
    this.#keys.clear();
  }
}

function joined(sides: readonly Tensor[]): Tensor {
  return sides.length === 1 ? tf.clone(must(sides[0], "side")) : tf.concat([...sides]);
}
