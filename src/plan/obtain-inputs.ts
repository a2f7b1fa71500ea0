/** @file Where a sweep's inputs lie on this machine: the folders it names, or those that what it names on a hub was fetched to. */
import { isAbsolute, resolve } from "node:path";
import { PatchbayError } from "../base/errors.js";
import type { Screen } from "../hub/fetch-display.js";
import type { FetchedInput } from "../hub/fetch-inputs.js";
import type { SaeOptions } from "../weights/sae-folder.js";
import { fitPathOf } from "./fit-spec.js";
import type { InputPaths } from "./plan.js";
import type { SweepSource } from "../sweep/read-sweep.js";
import { rowsOf, type Sweep } from "../sweep/sweep.js";

/**
 * Finds the inputs, and fetches what is lacking.
 * @param baseFolder - relative paths start here.
 * @throws PatchbayError `bad_input`, `hub_unreachable`, `disk_full` where something comes from a hub. Folders are not looked
 *   at.
 */
export async function obtainInputs(
  { sweep, fault }: SweepSource,
  baseFolder: string,
  screen: Screen,
): Promise<InputPaths> {
  const folder = (path: string): string => (isAbsolute(path) ? path : resolve(baseFolder, path));
  const { model, saes } = sweep;
  const [evaluate, select] = rowsOf(sweep);
  const fit = fitPathOf(sweep);
  const saeOptions = saes === "none" ? {} : saeOptionsOf(saes);
  const fetchedModel = await located(fault, "model", () => fetchModel(model, screen));
  const fetchedSaes = await located(fault, "saes", () => fetchSaes(saes, saeOptions, screen));
  return {
    model: "path" in model ? folder(model.path) : (fetchedModel?.path ?? ""),
    saes: saes === "none" ? null : "path" in saes ? folder(saes.path) : (fetchedSaes?.path ?? ""),
    dataset: folder(evaluate.path),
    ...(select === undefined ? {} : { select: folder(select.path) }),
    ...(fit === undefined ? {} : { fit: folder(fit) }),
    saeOptions,
    ...(fetchedModel === null && fetchedSaes === null
      ? {}
      : { hub: { model: fetchedModel?.snapshots[0] ?? null, saes: fetchedSaes?.snapshots ?? null } }),
  };
}

// The hub's library is large, and most sweeps do not need it: it is loaded when it is.

async function fetchModel(model: Sweep["model"], screen: Screen): Promise<FetchedInput | null> {
  if (!("hub" in model)) return null;
  const { fetchNamedModel } = await import("../hub/fetch-inputs.js");
  return fetchNamedModel(model, screen);
}

async function fetchSaes(saes: Sweep["saes"], options: SaeOptions, screen: Screen): Promise<FetchedInput | null> {
  if (saes === "none" || !("hub" in saes)) return null;
  const { fetchNamedSaes } = await import("../hub/fetch-inputs.js");
  return fetchNamedSaes(saes, options, screen);
}

/** Puts the place in the sweep file in front of what the hub refuses. */
async function located<T>(fault: SweepSource["fault"], key: "model" | "saes", fetch: () => Promise<T>): Promise<T> {
  try {
    return await fetch();
  } catch (thrown) {
    if (thrown instanceof PatchbayError && thrown.code === "bad_input") throw fault([key, "hub"], thrown.message);
    throw thrown;
  }
}

/** The options that were given: absent ones stay absent, so that they do not enter the plan hash. */
export function saeOptionsOf({ width, l0, sites, layers }: Exclude<Sweep["saes"], "none">): SaeOptions {
  return {
    ...(width === undefined ? {} : { width }),
    ...(l0 === undefined ? {} : { l0 }),
    ...(sites === undefined ? {} : { sites }),
    ...(layers === undefined ? {} : { layers }),
  };
}
