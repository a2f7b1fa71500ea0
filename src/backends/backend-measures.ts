/**
 * @file How fast and how accurate a backend is on this machine: measured in a process of its own, because two native libraries in
 * one may disturb each other, and remembered, so that `--backend auto` decides alike every time.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { BACKENDS, probeBackend, type Backend } from "./backend-probe.js";
import { threadSettings } from "./thread-settings.js";
import { codeVersion } from "../base/code-version.js";
import { entryFile } from "../base/entries.js";
import { readJsonFile } from "../base/read-file.js";
import { writeFileAtomically } from "../base/write-file.js";

const measuresSchema = z.object({
  /** float32 product of two 512 x 512 matrices, GFLOP/s; the best of several. */
  gemm_gflops: z.number().positive(),
  /** Microseconds for adding two tensors of 64 values; the best of several. */
  microseconds_per_small_op: z.number().positive(),
  /** Adding a number to each of 16 Mi float32 values, bytes read and written, GiB/s; the best of several. */
  copy_gib_per_second: z.number().positive(),
  /** Largest error of a norm, a product, a soft-cap and a softmax against float64, relative to the largest value of each. */
  largest_relative_error: z.number().nonnegative(),
});

/** What was measured. */
export type BackendMeasures = Readonly<z.infer<typeof measuresSchema>>;

/** Figures of a backend, or why it gave none. */
export type Measured =
  | { readonly measures: BackendMeasures; readonly problem?: never }
  | { readonly measures?: never; readonly problem: string };

/** float32 stays well below this relative error; TF32 and bfloat16 are far above. */
const FLOAT32_ERROR = 1e-5;
/** Backends, devices and builds that one machine has seen; older ones are forgotten. */
const MOST_REMEMBERED = 64;

const memorySchema = z.record(z.string(), measuresSchema);

/** Whether its results are those of float32 arithmetic. */
export function isFloat32({ largest_relative_error }: BackendMeasures): boolean {
  return largest_relative_error < FLOAT32_ERROR;
}

/** Measures a backend that is present, with all cores, which is what one worker's engine gets. Takes a second or two. */
export function measureInProcess(backend: string, device: string): Measured {
  const env = { ...threadSettings(availableParallelism()), ...process.env };
  const { status, stdout, stderr } = spawnSync(process.execPath, [entryFile("measure"), backend], {
    encoding: "utf8",
    env,
  });
  if (status !== 0) return { problem: `it fails: ${/Error: (.*)/.exec(stderr)?.[1] ?? `exit code ${String(status)}`}` };
  const measures = measuresSchema.parse(JSON.parse(stdout.trim().split("\n").at(-1) ?? ""));
  remember(keyOf(backend, device), measures);
  return { measures };
}

/** What was measured of this backend, device and build before; measured now where nothing was. */
export function measuredOnce(backend: string, device: string): Measured {
  const measures = remembered()[keyOf(backend, device)];
  return measures === undefined ? measureInProcess(backend, device) : { measures };
}

/** A backend's device, null where it is absent, and its figures or what is amiss. */
export type Examined = Measured & { readonly name: Backend; readonly device: string | null };

/** Every backend, measured where it is present: anew, or once for this device and build. */
export function examineBackends(measure: typeof measureInProcess): Examined[] {
  return BACKENDS.map((name) => {
    const { device, problem } = probeBackend(name);
    return problem === undefined ? { name, device, ...measure(name, device) } : { name, device: null, problem };
  });
}

function keyOf(backend: string, device: string): string {
  return [backend, device, `${String(availableParallelism())} cores`, codeVersion()].join("; ");
}

function memoryFile(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "patchbay", "backends.json");
}

/** Empty where nothing was remembered, or what was cannot be read: it can be measured again. */
function remembered(): z.infer<typeof memorySchema> {
  try {
    return readJsonFile(memoryFile(), memorySchema);
  } catch {
    return {};
  }
}

function remember(key: string, measures: BackendMeasures): void {
  const { [key]: _, ...others } = remembered();
  const kept = Object.entries(others).slice(1 - MOST_REMEMBERED);
  try {
    mkdirSync(dirname(memoryFile()), { recursive: true });
    writeFileAtomically(memoryFile(), JSON.stringify(Object.fromEntries([...kept, [key, measures]]), null, 1));
  } catch {
    // A home folder that cannot be written to: it is measured again next time.
  }
}
