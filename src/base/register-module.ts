/** @file The module that adds score methods and experiments to the product's own. */
import { resolve } from "node:path";

/** The absolute file that PATCHBAY_REGISTER names; null where it names none. */
export function registerModule(env: NodeJS.ProcessEnv = process.env): string | null {
  const named = env["PATCHBAY_REGISTER"] ?? "";
  return named === "" ? null : resolve(named);
}
