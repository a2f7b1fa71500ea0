/** @file What this machine can compute with, measured: behind `patchbay doctor`. */
import { spawnSync } from "node:child_process";
import { availableParallelism, cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { probeBackend } from "../base/backend-probe.js";
import { codeVersion } from "../base/code-version.js";
import { BACKENDS, type Backend } from "./backends/wasm.js";
import { GEMM_SIZE, type BackendMeasures } from "./measure-backend.js";

/** One backend: measured where it is present, with what to do where it is not. */
export interface BackendReport extends Readonly<Partial<BackendMeasures>> {
  readonly name: Backend;
  readonly present: boolean;
  /** Null where it is absent. */
  readonly device: string | null;
  readonly advice: string;
}

/** Everything `doctor` prints. */
export interface DoctorReport {
  readonly code: string;
  readonly node: string;
  readonly machine: { readonly processor: string; readonly cores: number; readonly memory_gib: number };
  readonly backends: readonly BackendReport[];
  /** What `--backend auto` chooses. */
  readonly auto: "wasm" | "torch";
}

const MEASURE = fileURLToPath(new URL("./measure-main.js", import.meta.url));
/** A core without an optimised matrix library stays below this. */
const SLOW_GFLOPS = 8;
/** float32 stays well below; TF32 and bfloat16 are far above. */
const FLOAT32_ERROR = 1e-5;

/** Measures every backend that is present, each in a process of its own: two native libraries in one may disturb each other. */
export function examine(): DoctorReport {
  const backends = BACKENDS.map(reportOf);
  return {
    code: codeVersion(),
    node: process.version,
    machine: {
      processor: cpus()[0]?.model ?? "unknown",
      cores: availableParallelism(),
      memory_gib: Number((totalmem() / 2 ** 30).toPrecision(3)),
    },
    backends,
    auto: backends.some(({ name, present }) => name === "torch" && present) ? "torch" : "wasm",
  };
}

function reportOf(name: Backend): BackendReport {
  const { device, problem } = probeBackend(name);
  if (problem !== undefined) return { name, present: false, device: null, advice: problem };
  // All cores, which is what one worker's engine gets.
  const cores = String(availableParallelism());
  const env = { OMP_NUM_THREADS: cores, OMP_WAIT_POLICY: "passive", TF_NUM_INTRAOP_THREADS: cores, ...process.env };
  const { status, stdout, stderr } = spawnSync(process.execPath, [MEASURE, name], { encoding: "utf8", env });
  if (status !== 0)
    return { name, present: false, device, advice: `it fails: ${/Error: (.*)/.exec(stderr)?.[1] ?? "see above"}` };
  const measures = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as BackendMeasures;
  return { name, present: true, device, ...measures, advice: adviceFor(name, device, measures) };
}

/** What would make it faster, or what to beware of. */
function adviceFor(name: Backend, device: string, { gemm_gflops, largest_relative_error }: BackendMeasures): string {
  if (!(largest_relative_error < FLOAT32_ERROR))
    return "its products are not float32: expect other scores than on the other backends";
  if (name === "wasm") return "one thread per engine: give `patchbay run` as many --workers as the machine has cores";
  const slow = device.startsWith("cpu") && gemm_gflops < SLOW_GFLOPS * availableParallelism();
  if (slow && name === "torch")
    return "its matrix library is slow: apt-get install libopenblas0-openmp, or patchbay doctor --build torch --fetch";
  return "nothing to do";
}

/** The report as lines for people. */
export function doctorText({ code, node, machine, backends, auto }: DoctorReport): string {
  return [
    `patchbay ${code}, node ${node}`,
    `${machine.processor}, ${String(machine.cores)} cores, ${String(machine.memory_gib)} GiB`,
    ...backends.flatMap(backendLines),
    `--backend auto chooses ${auto === "torch" ? "torch, and wasm for small models" : auto}`,
  ].join("\n");
}

function backendLines(report: BackendReport): string[] {
  const name = report.name.padEnd(11);
  if (!report.present) return [`${name}absent: ${report.advice}`];
  const show = (value: number | undefined): string => String(value);
  return [
    `${name}present: ${String(report.device)}`,
    `${" ".repeat(11)}${show(report.gemm_gflops)} GFLOP/s (float32, ${String(GEMM_SIZE)} cubed), ${show(report.microseconds_per_small_op)} us per small op, ` +
      `${show(report.copy_gib_per_second)} GiB/s, error ${show(report.largest_relative_error)}; ${report.advice}`,
  ];
}
