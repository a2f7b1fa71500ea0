import { describe, expect, it } from "vitest";
import { decodeMeans, encodeMeans } from "../../../src/artifacts/means-payload.js";
import { decodeScores, encodeScores } from "../../../src/artifacts/scores-payload.js";
import { decodeCircuits, encodeCircuits } from "../../../src/experiments/circuits/payload.js";
import { decodeErrorFit, encodeErrorFit } from "../../../src/experiments/error-fit/payload.js";
import { decodeTruth, encodeTruth } from "../../../src/experiments/truth/payload.js";

const hook = "blocks.0.hook_mlp_out";

describe("payloads", () => {
  it("give means back bit for bit, with and without corrupted runs", () => {
    const means = {
      metricClean: Float64Array.of(1.5, -0),
      metricCorrupted: null,
      features: new Map([
        [hook, { index: Int32Array.of(3, 9), sum: Float64Array.of(1e-300, 7), differs: Int32Array.of() }],
      ]),
      errors: new Map([[hook, Float64Array.of(1 / 3, 2)]]),
      sites: new Map([["blocks.1.hook_mlp_out", Float64Array.of(2 / 3, -0)]]),
    };
    expect(decodeMeans(encodeMeans(means))).toEqual(means);
    const paired = { ...means, metricCorrupted: Float64Array.of(2, 3) };
    expect(decodeMeans(encodeMeans(paired))).toEqual(paired);
  });

  it("give scores back bit for bit", () => {
    const part = {
      deltaNorm: Float32Array.of(1),
      gradNorm: Float32Array.of(2),
      cosine: Float32Array.of(0.5),
      dot: Float32Array.of(1),
    };
    const scores = {
      feature: new Map([
        [hook, { pointer: Int32Array.of(0, 2), index: Int32Array.of(1, 5), value: Float32Array.of(0.1, -2) }],
      ]),
      error: new Map([[hook, Float32Array.of(1, 2)]]),
      error_linear: new Map([[hook, Float32Array.of(0.25, 3)]]),
      error_nonlinear: new Map([[hook, Float32Array.of(0.75, -1)]]),
      site: new Map([[hook, Float32Array.of(3)]]),
      head: new Map([["blocks.0.attn.hook_z", Float32Array.of(4, 5)]]),
      neuron: new Map([["blocks.0.mlp.hook_post", Float32Array.of(6, 7, 8)]]),
      components: new Map([[`${hook}.hook_sae_error`, part]]),
    };
    expect(decodeScores(encodeScores(scores))).toEqual(scores);
  });

  it("give fits of errors back bit for bit, also where the error does not vary", () => {
    const fit = { A: Float32Array.of(0.1, -0, 3, 4), b: Float32Array.of(1, 2), rows: 12, explained: Number.NaN };
    expect(decodeErrorFit(encodeErrorFit(fit))).toEqual(fit);
  });

  it("give truth and circuits back bit for bit, empty ones too", () => {
    const truth = {
      metricClean: Float64Array.of(1),
      metricCorrupted: Float64Array.of(2),
      metricPatched: Float64Array.of(),
      ran: Uint8Array.of(),
    };
    expect(decodeTruth(encodeTruth(truth))).toEqual(truth);
    expect(decodeCircuits(encodeCircuits({ metric: Float64Array.of(0.1, 0.2) }))).toEqual({
      metric: Float64Array.of(0.1, 0.2),
    });
  });

  it("are the same bytes for equal results, whatever the order of the maps", () => {
    const features = (order: readonly string[]) =>
      new Map(
        order.map((name) => [name, { index: Int32Array.of(1), sum: Float64Array.of(1), differs: Int32Array.of() }]),
      );
    const none = new Map<string, Float64Array>();
    const means = { metricClean: Float64Array.of(1), metricCorrupted: null, errors: none, sites: none };
    const one = encodeMeans({ ...means, features: features(["a", "b"]) });
    expect(encodeMeans({ ...means, features: features(["b", "a"]) })).toEqual(one);
  });
});
