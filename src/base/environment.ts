/** @file The environment fingerprint: what, besides the plan, decides the bits of a result. */
import { z } from "zod";
import { canonicalJson, sha256 } from "./hash.js";

const part = z.string().min(1).max(200);

/** The schema of {@link Environment}. */
export const environmentSchema = z.object({
  code: part,
  backend: part,
  device: part,
  threads: z.int().min(1).max(1024),
  dtype: part,
});

/** Code version, tfjs backend, device class, engine threads and compute type. Results of equal environments are bit-identical. */
export type Environment = Readonly<z.infer<typeof environmentSchema>>;

/** The schema of {@link WorkerEnvironment}. */
export const workerEnvironmentSchema = environmentSchema.extend({
  threads: z.int().min(0).max(1024),
  dtype: z.string().max(200),
});

/** A worker's environment; threads 0 and dtype "" stand for whatever a run's plan says. */
export type WorkerEnvironment = Readonly<z.infer<typeof workerEnvironmentSchema>>;

const PARTS = ["code", "backend", "device", "threads", "dtype"] as const satisfies readonly (keyof Environment)[];

/** Short hash of an environment, as records carry it. */
export function environmentFingerprint(environment: Environment): string {
  return sha256(canonicalJson(environment)).slice(0, 16);
}

/**
 * One phrase for each part in which `got` differs from `expected`: `device: expected cuda, got cpu`. Parts that are absent or open
 * on either side are not compared.
 */
export function environmentDifferences(expected: Partial<Environment>, got: WorkerEnvironment): string[] {
  return PARTS.filter((name) => expected[name] !== undefined && isFixed(got[name]) && expected[name] !== got[name]).map(
    (name) => `${name}: expected ${String(expected[name])}, got ${String(got[name])}`,
  );
}

/** What is known of a run's environment, completed by what a worker says of its own. */
export function completeEnvironment(known: Partial<Environment>, worker: WorkerEnvironment): Partial<Environment> {
  const fixed = PARTS.filter((name) => known[name] === undefined && isFixed(worker[name]));
  return { ...known, ...Object.fromEntries(fixed.map((name) => [name, worker[name]])) };
}

function isFixed(part: string | number): boolean {
  return part !== 0 && part !== "";
}
