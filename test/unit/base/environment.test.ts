import { expect, test } from "vitest";
import {
  completeEnvironment,
  environmentDifferences,
  environmentFingerprint,
  type Environment,
} from "../../../src/base/environment.js";

const environment: Environment = { code: "1", backend: "wasm", device: "cpu", threads: 2, dtype: "float32" };

test("every part of an environment changes its fingerprint", () => {
  const others = [{ code: "2" }, { backend: "torch" }, { device: "cuda" }, { threads: 1 }, { dtype: "bfloat16" }];
  const prints = [{}, ...others].map((change) => environmentFingerprint({ ...environment, ...change }));
  expect(new Set(prints).size).toBe(6);
  expect(environmentFingerprint({ dtype: "float32", threads: 2, device: "cpu", backend: "wasm", code: "1" })).toBe(
    prints[0],
  );
});

test("differences are named, and what a worker leaves open is none", () => {
  const worker = { ...environment, device: "cuda", threads: 0, dtype: "" };
  expect(environmentDifferences(environment, worker)).toEqual(["device: expected cpu, got cuda"]);
  expect(environmentDifferences({}, worker)).toEqual([]);
});

test("a worker fills in what is not known yet, and changes nothing that is", () => {
  const worker = { ...environment, device: "cuda", threads: 0, dtype: "" };
  expect(completeEnvironment({ backend: "torch" }, worker)).toEqual({ backend: "torch", code: "1", device: "cuda" });
});
