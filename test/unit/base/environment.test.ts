import { expect, test } from "vitest";
import {
  completeEnvironment,
  environmentDifferences,
  environmentFingerprint,
  environmentOn,
  type Environment,
} from "../../../src/base/environment.js";

const environment: Environment = {
  code: "1",
  backend: "wasm",
  device: "cpu",
  threads: 2,
  dtype: "float32",
  tfjs: "4.22.0",
};
const worker = { ...environment, threads: 0, dtype: "", node: "20.19.0" };

test("every part of an environment changes its fingerprint", () => {
  const others = [
    { code: "2" },
    { backend: "torch" },
    { device: "cuda" },
    { threads: 1 },
    { dtype: "bfloat16" },
    { tfjs: "4.21.0" },
  ];
  const prints = [{}, ...others].map((change) => environmentFingerprint({ ...environment, ...change }));
  expect(new Set(prints).size).toBe(7);
  expect(
    environmentFingerprint({
      tfjs: "4.22.0",
      dtype: "float32",
      threads: 2,
      device: "cpu",
      backend: "wasm",
      code: "1",
    }),
  ).toBe(prints[0]);
});

test("differences are named, and what a worker leaves open is none", () => {
  expect(environmentDifferences(environment, { ...worker, device: "cuda" })).toEqual([
    "device: expected cpu, got cuda",
  ]);
  expect(environmentDifferences({}, worker)).toEqual([]);
});

test("another tfjs, and a worker that says none, are differences", () => {
  expect(environmentDifferences(environment, { ...worker, tfjs: "4.21.0" })).toEqual([
    "tfjs: expected 4.22.0, got 4.21.0",
  ]);
  expect(environmentDifferences(environment, { ...worker, tfjs: "" })).toHaveLength(1);
});

test("another Node is no difference, and no part of the environment that a worker computes in", () => {
  const elsewhere = { ...worker, node: "24.1.0" };
  expect(environmentDifferences(environment, elsewhere)).toEqual([]);
  expect(environmentOn(elsewhere, environment)).toEqual(environment);
  expect(environmentFingerprint(environmentOn(elsewhere, environment))).toBe(environmentFingerprint(environment));
});

test("a worker fills in what is not known yet, and changes nothing that is", () => {
  expect(completeEnvironment({ backend: "torch" }, { ...worker, device: "cuda" })).toEqual({
    backend: "torch",
    code: "1",
    device: "cuda",
    tfjs: "4.22.0",
  });
});
