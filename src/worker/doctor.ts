/** @file What this machine can compute with, measured: behind `patchbay doctor`. */
import * as tf from "@tensorflow/tfjs-core";
import { availableParallelism, cpus, totalmem } from "node:os";
import { probeTorch } from "../base/torch-probe.js";
import { codeVersion } from "../base/code-version.js";
import { startBackend } from "./backends/wasm.js";

/** One backend: measured where it is present, with what to do where it is not. */
export interface BackendReport {
  readonly name: "wasm" | "torch" | "tensorflow";
  readonly present: boolean;
  /** float32 product of two 512 x 512 matrices, GFLOP/s; median of several. */
  readonly gemm_gflops: number | null;
  /** Microseconds for adding two tensors of 64 values. */
  readonly microseconds_per_small_op: number | null;
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

/** A core without an optimised matrix library stays below this. */
const SLOW_GFLOPS = 8;
const GEMM_SIZE = 512;
const SMALL_OPS = 2000;

/** Measures every backend that is present. */
export async function examine(): Promise<DoctorReport> {
  const wasm = await measure(
    "wasm",
    "one thread per engine: give `patchbay run` as many --workers as the machine has cores",
  );
  const probe = probeTorch();
  const torch = probe.problem === undefined ? await measureTorch(probe.device) : absent("torch", probe.problem);
  return {
    code: codeVersion(),
    node: process.version,
    machine: {
      processor: cpus()[0]?.model ?? "unknown",
      cores: availableParallelism(),
      memory_gib: round(totalmem() / 2 ** 30),
    },
    backends: [wasm, torch, absent("tensorflow", "not built yet")],
    auto: torch.present ? "torch" : "wasm",
  };
}

function absent(name: BackendReport["name"], advice: string): BackendReport {
  return { name, present: false, gemm_gflops: null, microseconds_per_small_op: null, advice };
}

async function measure(name: "wasm" | "torch", advice: string): Promise<BackendReport> {
  await startBackend(name);
  return {
    name,
    present: true,
    gemm_gflops: round(gemmRate()),
    microseconds_per_small_op: round(smallOpCost()),
    advice,
  };
}

/** torch with all cores, which is what one worker's engine gets. */
async function measureTorch(device: string): Promise<BackendReport> {
  process.env["OMP_NUM_THREADS"] ??= String(availableParallelism());
  const report = await measure("torch", device);
  const slow = (report.gemm_gflops ?? 0) < SLOW_GFLOPS * availableParallelism();
  const advice = `${device}; its matrix library is slow: apt-get install libopenblas0-openmp, or build on PyPI's torch`;
  return slow ? { ...report, advice } : report;
}

/** The report as lines for people. */
export function doctorText({ code, node, machine, backends, auto }: DoctorReport): string {
  return [
    `patchbay ${code}, node ${node}`,
    `${machine.processor}, ${String(machine.cores)} cores, ${String(machine.memory_gib)} GiB`,
    ...backends.map(({ name, present, gemm_gflops: gemm, microseconds_per_small_op: small, advice }) =>
      present
        ? `${name.padEnd(11)}present: ${String(gemm)} GFLOP/s (float32, ${String(GEMM_SIZE)} cubed), ${String(small)} us per small op; ${advice}`
        : `${name.padEnd(11)}absent: ${advice}`,
    ),
    `--backend auto chooses ${auto === "torch" ? "torch, and wasm for small models" : auto}`,
  ].join("\n");
}

function gemmRate(): number {
  const shape: [number, number] = [GEMM_SIZE, GEMM_SIZE];
  const [a, b] = [tf.ones(shape), tf.ones(shape)];
  const milliseconds = Array.from({ length: 9 }, () => {
    const began = performance.now();
    tf.tidy(() => {
      tf.matMul(a, b).dataSync();
    });
    return performance.now() - began;
  });
  tf.dispose([a, b]);
  return (2 * GEMM_SIZE ** 3) / (median(milliseconds) * 1e6);
}

function smallOpCost(): number {
  const [a, b] = [tf.ones([64]), tf.ones([64])];
  const began = performance.now();
  tf.tidy(() => {
    for (let i = 0; i < SMALL_OPS; i++) tf.dispose(tf.add(a, b));
  });
  tf.dispose([a, b]);
  return ((performance.now() - began) * 1000) / SMALL_OPS;
}

function median(values: readonly number[]): number {
  return [...values].sort((x, y) => x - y)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
