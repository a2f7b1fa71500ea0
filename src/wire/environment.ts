/** @file The environment fingerprint: what, besides the plan, decides the bits of a result. */
import { z } from "zod";
import { canonicalJson, sha256 } from "../base/hash.js";

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

const PARTS = ["code", "backend", "device", "threads", "dtype"] as const satisfies readonly (keyof Environment)[];

/** Short hash of an environment, as records carry it. */
export function environmentFingerprint(environment: Environment): string {
  return sha256(canonicalJson(environment)).slice(0, 16);
}

/** One phrase for each part in which `got` differs from `expected`: `device: expected cuda, got cpu`. Absent parts are not compared. */
export function environmentDifferences(expected: Partial<Environment>, got: Environment): string[] {
  return PARTS.filter((name) => expected[name] !== undefined && expected[name] !== got[name]).map(
    (name) => `${name}: expected ${String(expected[name])}, got ${String(got[name])}`,
  );
}

/** Whether no part is left open. */
export function isFullEnvironment(environment: Partial<Environment>): environment is Environment {
  return PARTS.every((name) => environment[name] !== undefined);
}
