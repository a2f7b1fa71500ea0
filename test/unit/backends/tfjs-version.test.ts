import { version_core } from "@tensorflow/tfjs-core";
import { version_wasm } from "@tensorflow/tfjs-backend-wasm";
import { expect, test } from "vitest";
import { tfjsVersion } from "../../../src/backends/tfjs-version.js";

test("the versions of an environment are those of the tfjs packages that load here", () => {
  expect(tfjsVersion("wasm")).toBe(`core ${version_core}, wasm ${version_wasm}`);
  expect(tfjsVersion("torch")).toBe(`core ${version_core}`);
  expect(tfjsVersion("tensorflow").startsWith(`core ${version_core}`)).toBe(true);
});
