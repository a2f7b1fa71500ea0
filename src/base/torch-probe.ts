/** @file Whether the torch addon loads on this machine, found out in a process of its own: libtorch is large, and may crash. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Where `npm run build:native` puts the addon. */
export const TORCH_ADDON = fileURLToPath(new URL("../../native/build/patchbay-torch.node", import.meta.url));

/** A backend's device, as environments name it; or why there is none, in one line that says what to do. */
export type BackendProbe =
  { readonly device: string; readonly problem?: never } | { readonly device?: never; readonly problem: string };

const PROGRAM = `const t = require(process.argv[1]);
const processor = require("node:os").cpus()[0]?.model ?? "unknown processor";
console.log("cpu (libtorch " + t.version() + ", " + t.processor() + ", " + processor.trim().slice(0, 100) + ")");`;

/** Loads the addon in a child process. Matrix libraries choose their loops by processor, so the device names it. */
export function probeTorch(file: string = TORCH_ADDON): BackendProbe {
  if (!existsSync(file)) return { problem: "torch is not built here: patchbay doctor --build torch" };
  const { status, stdout, stderr } = spawnSync(process.execPath, ["-e", PROGRAM, file], { encoding: "utf8" });
  if (status === 0) return { device: stdout.trim() };
  const words = /Error: (.*)/.exec(stderr)?.[1] ?? `exit code ${String(status)}`;
  return { problem: `torch does not load: ${words}. Build it again: patchbay doctor --build torch --force` };
}
