/** @file Whether the torch addon loads on this machine, found out in a process of its own: libtorch is large, and may crash. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { builderFile } from "../base/entries.js";
import { badInput } from "../base/errors.js";

/** Where `npm run build:native` puts the addon; PATCHBAY_TORCH_ADDON names another, built on another libtorch. */
export const TORCH_ADDON = resolve(
  process.env["PATCHBAY_TORCH_ADDON"] ??
    fileURLToPath(new URL("../../native/build/patchbay-torch.node", import.meta.url)),
);

/** A backend's device, as environments name it; or why there is none, in one line that says what to do. */
export type BackendProbe =
  { readonly device: string; readonly problem?: never } | { readonly device?: never; readonly problem: string };

/**
 * The device and the products' precision: a GPU where there is one, unless PATCHBAY_TORCH_DEVICE says otherwise; TF32 only where
 * PATCHBAY_TORCH_TF32=1 asks for it.
 */
export function torchSettings(
  env: NodeJS.ProcessEnv,
  gpu: boolean,
): { readonly device: "cpu" | "cuda"; readonly tf32: boolean } {
  const named = env["PATCHBAY_TORCH_DEVICE"] ?? "";
  if (named !== "" && named !== "cpu" && named !== "cuda")
    throw badInput(`expected cpu or cuda, got ${named}`, { field: "PATCHBAY_TORCH_DEVICE" });
  return { device: named === "" ? (gpu ? "cuda" : "cpu") : named, tf32: env["PATCHBAY_TORCH_TF32"] === "1" };
}

/** The child's exit code for an addon that other sources than this version's made. */
const STALE = 3;

/** Builds the addon from the sources beside it. A container image has neither, and the addon that is put into it. */
const BUILDER = builderFile("torch");

/** Prints what the addon says of itself; its arguments are the addon's file and, where it is here, the file of its builder. */
const PROGRAM = `const t = require(process.argv[1]);
(process.argv[2] ? import(process.argv[2]) : Promise.resolve()).then((builder) => {
if (builder && t.sources?.() !== builder.hashOfSources()) process.exit(${String(STALE)});
const problem = t.gpuProblem();
const named = process.env.PATCHBAY_TORCH_DEVICE;
const device = named || (problem === "" ? "cuda" : "cpu");
t.useDevice(device);
let what = t.processor() + ", " + (require("node:os").cpus()[0]?.model ?? "unknown processor").trim();
if (device === "cuda") {
  const ask = ["--query-gpu=name", "--format=csv,noheader"];
  const listed = require("node:child_process").spawnSync("nvidia-smi", ask, { encoding: "utf8" }).stdout ?? "";
  what = "TF32 " + (process.env.PATCHBAY_TORCH_TF32 === "1" ? "allowed" : "off") + ", " + (listed.split("\\n")[0] || "unknown GPU");
}
console.log(device + " (libtorch " + t.version() + ", " + what.slice(0, 120) + ")");
});`;

/** Loads the addon in a child process. Matrix libraries choose their loops by processor, so the device names it. */
export function probeTorch(file: string = TORCH_ADDON, builder: string = BUILDER): BackendProbe {
  if (!existsSync(file)) return { problem: "torch is not built here: patchbay doctor --build torch" };
  const inputs = existsSync(builder) ? [file, builder] : [file];
  const { status, stdout, stderr } = spawnSync(process.execPath, ["-e", PROGRAM, ...inputs], { encoding: "utf8" });
  if (status === 0) return { device: stdout.trim() };
  if (status === STALE)
    return { problem: "torch was built from another version's sources: patchbay doctor --build torch" };
  const words = /Error: (.*)/.exec(stderr)?.[1] ?? `exit code ${String(status)}`;
  return { problem: `torch does not load: ${words}. Build it again: patchbay doctor --build torch --force` };
}
