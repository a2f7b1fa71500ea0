import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { visitLayers } from "../../src/passes/capture.js";
import { nodeHook } from "../../src/nodes/node.js";
import { SAE_SITES, siteHook } from "../../src/nodes/site.js";
import { loadAnswers } from "../../src/model/metric.js";
import { encode, errorOf, loadSae } from "../../src/sae/sae.js";
import { splice } from "../../src/sae/splice.js";
import { findSaes } from "../../src/weights/sae-folder.js";
import { goldenArrays, goldenPrompts, goldenSpliced, TINY_A } from "./golden.js";
import "./matchers.js";
import { readSae } from "../read-sae.js";

describe("JumpReLU SAEs", () => {
  let spliced: SplicedModel;
  beforeAll(async () => {
    spliced = await goldenSpliced();
  });
  afterAll(() => {
    spliced.dispose();
  });

  it("give the reference's features and errors at all sites", async () => {
    const expected = await goldenArrays("sae");
    const prompts = goldenPrompts("pairs").slice(0, 2);
    const answers = await loadAnswers(spliced.model.embedding, prompts, "max");
    const ids = [prompts.map((p) => p.clean), prompts.map((p) => must(p.corrupted, "corrupted"))];
    const seen: string[] = [];
    await visitLayers(
      spliced.model,
      { batches: ids.map((side) => ({ ids: side, rows: null })), answers },
      async (layer, sides) => {
        for (const site of SAE_SITES)
          for (const [i, side] of ["clean", "corrupted"].entries()) {
            const sae = must(spliced.sae({ site, layer }), "SAE");
            const x_RD = must(sides[i], "side")[site];
            const f_RF = encode(sae, x_RD);
            const e_RD = errorOf(sae, x_RD, f_RF);
            const [features, errors] = [
              `${side}.${nodeHook({ site, layer }, "feature")}`,
              `${side}.${nodeHook({ site, layer }, "error")}`,
            ];
            expect(await f_RF.data()).toBeAllclose(expected.get(features));
            expect(await e_RD.data()).toBeAllclose(expected.get(errors));
            seen.push(features, errors);
            tf.dispose([f_RF, e_RD]);
          }
      },
    );
    answers.dispose();
    expect(seen.sort()).toEqual(expected.keys.sort());
  });

  it("are the same from the SAELens layout", async () => {
    const entries = await findSaes(`${TINY_A}/saes-saelens`, spliced.model.config);
    expect(entries.map(siteHook).sort()).toEqual(SAE_SITES.map((site) => siteHook({ site, layer: 0 })).sort());
    for (const entry of entries) {
      const [a, b] = [loadSae(await readSae(entry)), must(spliced.sae(entry), "SAE")];
      for (const name of ["W_enc_DF", "W_dec_FD", "b_enc_F", "b_dec_D", "gate_F"] as const)
        expect(await a[name].data()).toEqual(await b[name].data());
      a.dispose();
    }
  });

  it("fire above the threshold only, and never at or below 0", async () => {
    const sae = loadSae({
      dIn: 1,
      dSae: 4,
      W_enc: Float32Array.of(1, 1, 1, 1),
      W_dec: Float32Array.of(1, 1, 1, 1),
      b_enc: Float32Array.of(0, 0, 0, -1),
      b_dec: Float32Array.of(0.5),
      threshold: Float32Array.of(2, 1, -3, 0),
    });
    const acts = async (x: number): Promise<number[]> => {
      const f = tf.tidy(() => encode(sae, tf.tensor2d([[x]])));
      const values = Array.from(await f.data(), (v) => v + 0);
      f.dispose();
      return values;
    };
    expect(await acts(2)).toEqual([0, 2, 2, 1]);
    expect(await acts(1)).toEqual([0, 0, 1, 0]);
    expect(await acts(-1)).toEqual([0, 0, 0, 0]);
    sae.dispose();
  });
});

describe("delta splice", () => {
  let spliced: SplicedModel;
  beforeAll(async () => {
    spliced = await goldenSpliced();
  });
  afterAll(() => {
    spliced.dispose();
  });

  it("keeps every bit where nothing is changed, and every bit of an unchanged row", async () => {
    const sae = must(spliced.sae({ site: "resid_post", layer: 1 }), "SAE");
    const x = tf.randomNormal([6, sae.dIn], 0, 3, "float32", 5);
    const values = await x.data();
    values[3] = -0;
    const x_RD = tf.tensor2d(values as Float32Array, [6, sae.dIn]);
    const f_RF = encode(sae, x_RD);
    const e_RD = errorOf(sae, x_RD, f_RF);
    const same = splice(sae, x_RD, {
      features: { live_RF: f_RF, changed_RF: tf.clone(f_RF) },
      errors: { live_RD: e_RD, changed_RD: tf.clone(e_RD) },
    });
    const bits = (a: ArrayLike<number>): Uint8Array => new Uint8Array(Float32Array.from(a).buffer);
    expect(bits(await same.data())).toEqual(bits(await x_RD.data()));
    expect(bits(await splice(sae, x_RD, {}).data())).toEqual(bits(await x_RD.data()));
    const lastRow = tf.tensor2d([[0], [0], [0], [0], [0], [1]]);
    const changed = splice(sae, x_RD, { errors: { live_RD: e_RD, changed_RD: tf.sub(e_RD, lastRow) } });
    const [before, after] = [await x_RD.data(), await changed.data()];
    expect(bits(after.slice(0, 5 * sae.dIn))).toEqual(bits(before.slice(0, 5 * sae.dIn)));
    expect(after.slice(5 * sae.dIn)).toBeAllclose(
      before.slice(5 * sae.dIn).map((v) => v - 1),
      { atol: 1e-5 },
    );
  });

  it("replaces what a feature and the error write", async () => {
    const sae = must(spliced.sae({ site: "attn_z", layer: 0 }), "SAE");
    const x_RD = tf.randomNormal([2, sae.dIn], 0, 1, "float32", 7);
    const f_RF = encode(sae, x_RD);
    const e_RD = errorOf(sae, x_RD, f_RF);
    const nothing = splice(sae, x_RD, {
      features: { live_RF: f_RF, changed_RF: tf.zerosLike(f_RF) },
      errors: { live_RD: e_RD, changed_RD: tf.zerosLike(e_RD) },
    });
    const bias = await sae.b_dec_D.data();
    expect(await nothing.data()).toBeAllclose([...bias, ...bias]);
  });
});
