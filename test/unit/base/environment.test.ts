import { expect, test } from "vitest";
import {
  completeEnvironment,
  environmentDifferences,
  environmentFingerprint,
  type Environment,
} from "../../../src/base/environment.js";

const environment: Environment = {
  code: "1",
  backend: "wasm",
  device: "cpu",
  threads: 2,
  dtype: "float32",
  node: "20",
  tfjs: "4.22.0",
};

test("every part of an environment changes its fingerprint", () => {
  const others = [
    { code: "2" },
    { backend: "torch" },
    { device: "cuda" },
    { threads: 1 },
    { dtype: "bfloat16" },
    { node: "24" },
    { tfjs: "4.21.0" },
  ];
  const prints = [{}, ...others].map((change) => environmentFingerprint({ ...environment, ...change }));
  expect(new Set(prints).size).toBe(8);
  expect(
    environmentFingerprint({
      tfjs: "4.22.0",
      node: "20",
      dtype: "float32",
      threads: 2,
      device: "cpu",
      backend: "wasm",
      code: "1",
    }),
  ).toBe(prints[0]);
});

test("differences are named, and what a worker leaves open is none", () => {
  const worker = { ...environment, device: "cuda", threads: 0, dtype: "" };
  expect(environmentDifferences(environment, worker)).toEqual(["device: expected cpu, got cuda"]);
  expect(environmentDifferences({}, worker)).toEqual([]);
});

test("another Node, another tfjs, and a worker that says neither are differences", () => {
  const worker = { ...environment, threads: 0, dtype: "" };
  expect(environmentDifferences(environment, { ...worker, node: "24" })).toEqual(["node: expected 20, got 24"]);
  expect(environmentDifferences(environment, { ...worker, tfjs: "4.21.0" })).toEqual([
    "tfjs: expected 4.22.0, got 4.21.0",
  ]);
  expect(environmentDifferences(environment, { ...worker, node: "", tfjs: "" })).toHaveLength(2);
});

test("a worker fills in what is not known yet, and changes nothing that is", () => {
  const worker = { ...environment, device: "cuda", threads: 0, dtype: "" };
  expect(completeEnvironment({ backend: "torch" }, worker)).toEqual({
    backend: "torch",
    code: "1",
    device: "cuda",
    node: "20",
    tfjs: "4.22.0",
  });
});
