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
  node: part,
  tfjs: part,
});

/**
 * Code version, tfjs backend, device class, engine threads, compute type, Node's major version (its `Math` and `**` give other bits)
 * and the versions of tfjs's packages. Results of equal environments are bit-identical.
 */
export type Environment = Readonly<z.infer<typeof environmentSchema>>;

/** Major version of the Node that runs this process. */
export const NODE_MAJOR = process.versions.node.replace(/\..*$/, "");

const NOT_RECORDED = "not recorded";

/** The schema of an environment in a file, which an earlier release may have written: the parts that it did not know differ from any. */
export const recordedEnvironmentSchema = environmentSchema.extend({
  node: part.default(NOT_RECORDED),
  tfjs: part.default(NOT_RECORDED),
});

/** The schema of {@link WorkerEnvironment}. A worker of an earlier release says neither its Node nor its tfjs, and is refused. */
export const workerEnvironmentSchema = environmentSchema.extend({
  threads: z.int().min(0).max(1024),
  dtype: z.string().max(200),
  node: z.string().max(200),
  tfjs: z.string().max(200),
});

/** A worker's environment; threads 0 and dtype "" stand for whatever a run's plan says. */
export type WorkerEnvironment = Readonly<z.infer<typeof workerEnvironmentSchema>>;

const PARTS = [
  "code",
  "backend",
  "device",
  "threads",
  "dtype",
  "node",
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
