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
  tfjs: part,
});

/**
 * Code version, tfjs backend, device class with its native library's version, engine threads, compute type and the versions of tfjs's
 * packages. Results of equal environments are bit-identical.
 */
export type Environment = Readonly<z.infer<typeof environmentSchema>>;

/** Version of the Node that runs this process. Runs record it; it decides no bits (elementary-functions.ts says why). */
export const NODE_VERSION = process.versions.node;

const NOT_RECORDED = "not recorded";

/** The schema of an environment in a file, which an earlier release may have written: the parts that it did not know differ from any. */
export const recordedEnvironmentSchema = environmentSchema.extend({
  tfjs: part.default(NOT_RECORDED),
});

/** The schema of {@link WorkerEnvironment}. A worker of an earlier release does not say its tfjs, and is refused. */
export const workerEnvironmentSchema = environmentSchema.extend({
  threads: z.int().min(0).max(1024),
  dtype: z.string().max(200),
  node: z.string().max(200),
  tfjs: z.string().max(200),
});

/**
 * A worker's environment, and the version of its Node, which is recorded and not compared. Threads 0 and dtype "" stand for whatever a
 * run's plan says.
 */
export type WorkerEnvironment = Readonly<z.infer<typeof workerEnvironmentSchema>>;

/** The environment of a run on a worker: what the plan decides is the plan's. */
export function environmentOn(
  { code, backend, device, tfjs }: WorkerEnvironment,
  decided: Pick<Environment, "threads" | "dtype">,
): Environment {
  return { code, backend, device, tfjs, threads: decided.threads, dtype: decided.dtype };
}

const PARTS = [
  "code",
  "backend",
  "device",
  "threads",
  "dtype",
  "tfjs",
] as const satisfies readonly (keyof Environment)[];

/** What a worker says of the parts that a run's plan decides. */
const OPEN: Partial<WorkerEnvironment> = { threads: 0, dtype: "" };

/** Short hash of an environment, as records carry it. */
export function environmentFingerprint(environment: Environment): string {
  return sha256(canonicalJson(environment)).slice(0, 16);
}

/**
 * One phrase for each part in which `got` differs from `expected`: `device: expected cuda, got cpu`. Parts that are absent or open
 * on either side are not compared.
 */
export function environmentDifferences(expected: Partial<Environment>, got: WorkerEnvironment): string[] {
  return PARTS.filter((name) => expected[name] !== undefined && isFixed(name, got) && expected[name] !== got[name]).map(
    (name) => `${name}: expected ${String(expected[name])}, got ${got[name]}`,
  );
}

/** What is known of a run's environment, completed by what a worker says of its own. */
export function completeEnvironment(known: Partial<Environment>, worker: WorkerEnvironment): Partial<Environment> {
  const fixed = PARTS.filter((name) => known[name] === undefined && isFixed(name, worker));
  return { ...known, ...Object.fromEntries(fixed.map((name) => [name, worker[name]])) };
}

function isFixed(name: keyof Environment, worker: WorkerEnvironment): boolean {
  return worker[name] !== OPEN[name];
}
