/** @file The versions of the tfjs packages that an engine computes with, read from their package.json: tfjs itself takes a second to load. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { z } from "zod";
import type { Backend } from "./backend-probe.js";
import { findTensorflow } from "./tensorflow-probe.js";

const packageSchema = z.object({ version: z.string() });
const { resolve } = createRequire(import.meta.url);

/** tfjs as environments name it: the core's version and, where the backend has a package of its own, that one's. */
export function tfjsVersion(backend: Backend): string {
  const core = `core ${versionIn(resolve("@tensorflow/tfjs-core/package.json"))}`;
  switch (backend) {
    case "wasm":
      return `${core}, wasm ${versionIn(resolve("@tensorflow/tfjs-backend-wasm/package.json"))}`;
    case "tensorflow": {
      const folder = findTensorflow();
      return folder === null ? core : `${core}, node-gpu ${versionIn(join(folder, "package.json"))}`;
    }
    case "torch":
      return core;
  }
}

function versionIn(file: string): string {
  return packageSchema.parse(JSON.parse(readFileSync(file, "utf8"))).version;
}
