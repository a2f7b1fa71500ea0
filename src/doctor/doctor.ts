/** @file What this machine can compute with, measured: behind `patchbay doctor`. */
import { availableParallelism, cpus, totalmem } from "node:os";
import { examineBackends, isFloat32, measureInProcess, type BackendMeasures } from "../backends/backend-measures.js";
import type { Backend } from "../backends/backend-probe.js";
import { codeVersion } from "../base/code-version.js";
import { fastestBackend } from "../backends/fastest-backend.js";
import { GEMM_SIZE } from "../backends/measure-backend.js";

/** One backend: measured where it is present, with what to do where it is not. */
export interface BackendReport extends Partial<BackendMeasures> {
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
  /** What `--backend auto` chooses for all but small models. */
  readonly auto: Backend;
}

/** A core without an optimised matrix library stays below this. */
const SLOW_GFLOPS = 8;

/** Measures every backend that is present, anew. */
export function examine(): DoctorReport {
  const found = examineBackends(measureInProcess);
  return {
    code: codeVersion(),
    node: process.version,
    machine: {
      processor: cpus()[0]?.model ?? "unknown",
      cores: availableParallelism(),
      memory_gib: Number((totalmem() / 2 ** 30).toPrecision(3)),
    },
    backends: found.map(({ name, device, measures, problem }) =>
      measures === undefined
        ? { name, present: false, device, advice: problem }
        : { name, present: true, device, ...measures, advice: adviceFor(name, device, measures) },
    ),
    auto: fastestBackend(found)?.name ?? "wasm",
  };
}

/** What would make it faster, or what to beware of. */
function adviceFor(name: Backend, device: string | null, measures: BackendMeasures): string {
  if (!isFloat32(measures)) return "its products are not float32: expect other scores than on the other backends";
  if (name === "wasm") return "one thread per engine: give `patchbay run` as many --workers as the machine has cores";
  const slow = device?.startsWith("cpu") === true && measures.gemm_gflops < SLOW_GFLOPS * availableParallelism();
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
    `--backend auto chooses ${auto === "wasm" ? auto : `${auto}, and wasm for small models`}`,
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
