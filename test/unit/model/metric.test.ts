import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { must } from "../../../src/base/assert.js";
import { readModelConfig } from "../../../src/families/read-config.js";
import { checkpointEmbedding, embedTokens } from "../../../src/model/embedding.js";
import { loadAnswers, metricCoefficients, metricOf, metricsOf, type Answers } from "../../../src/model/metric.js";
import { withScope } from "../../../src/model/tensor-scope.js";
import { startBackend } from "../../../src/backends/start-backend.js";
import "../../numeric/matchers.js";

/** Answers of two prompts over three columns. */
const answers = (reduce: "max" | "sum"): Answers => ({
  ids: [5, 8, 9],
  unembed_DA: tf.zeros([1, 3]),
  correct: [0, 2],
  incorrect: [
    [1, 2],
    [0, 0, 1],
  ],
  reduce,
  dispose: () => undefined,
});

describe("metric", () => {
  const logits = Float32Array.of(1, 4, 2, /* prompt 1 */ 3, 3, -1);

  it("is reduce(incorrect) - correct", async () => {
    await startBackend("wasm");
    expect(metricsOf(logits, answers("max"))).toEqual(Float64Array.of(3, 4));
    expect(metricsOf(logits, answers("sum"))).toEqual(Float64Array.of(5, 10));
  });

  it("of any row uses the named prompt's answers", () => {
    expect(metricOf(logits, 0, answers("max"), 1)).toBe(4 - 2);
  });

  it("has one coefficient for each logit: ties go to the answer listed first, repeated answers count again", () => {
    expect(metricCoefficients(logits, answers("max"))).toEqual(Float32Array.of(-1, 1, 0, 1, 0, -1));
    expect(metricCoefficients(logits, answers("sum"))).toEqual(Float32Array.of(-1, 1, 1, 2, 1, -1));
  });

  it("times its coefficients reproduces itself", () => {
    for (const reduce of ["max", "sum"] as const) {
      const coefficients = metricCoefficients(logits, answers(reduce));
      const sums = [0, 1].map((p) =>
        [0, 1, 2].reduce((sum, a) => sum + must(coefficients[p * 3 + a], "c") * must(logits[p * 3 + a], "l"), 0),
      );
      expect(sums).toEqual([...metricsOf(logits, answers(reduce))]);
    }
  });

  it("collects each answer token once", async () => {
    const table = {
      rows: (ids: ArrayLike<number>) => Promise.resolve(Float32Array.from(Array.from(ids).flatMap((id) => [id, -id]))),
    };
    const loaded = await loadAnswers(
      table,
      [
        { correct: 7, incorrect: [3] },
        { correct: 3, incorrect: [7, 4] },
      ],
      "max",
    );
    expect([loaded.ids, loaded.correct, loaded.incorrect]).toEqual([
      [3, 4, 7],
      [2, 0],
      [[0], [2, 1]],
    ]);
    expect(Array.from(await loaded.unembed_DA.data())).toEqual([3, 4, 7, -3, -4, -7]);
    loaded.dispose();
  });
});

describe("embedding", () => {
  it("reads each row once and scales it by the model's factor", async () => {
    const reads: number[][] = [];
    const config = { ...readModelConfig("test/fixtures/tiny-a/model"), dModel: 3, embeddingFactor: 1.5 };
    const checkpoint = {
      config,
      readRows: (_name: string, rows: ArrayLike<number>) => {
        reads.push(Array.from(rows));
        return Promise.resolve(Float32Array.from(Array.from(rows).flatMap((row) => [row, row + 0.5, -row])));
      },
    };
    const table = checkpointEmbedding(checkpoint);
    expect(await table.rows([2, 1, 2])).toEqual(Float32Array.of(2, 2.5, -2, 1, 1.5, -1, 2, 2.5, -2));
    const embedded = await embedTokens(table, [1, 4], config);
    expect(await embedded.data()).toEqual(Float32Array.of(1.5, 2.25, -1.5, 6, 6.75, -6));
    expect(reads).toEqual([[2, 1], [4]]);
    embedded.dispose();
  });
});

describe("withScope", () => {
  it("disposes what it owns, also when the work throws, and whatever was disposed before", async () => {
    await expect(async () => {
      await withScope(async (own) => {
        own(tf.ones([2])).dispose();
        own(tf.ones([3]));
        await Promise.reject(new Error("stop"));
      }).catch(() => undefined);
    }).toLeakNoTensors();
  });
});
