/** @file An SAE that lies in a folder, before its weights have been looked at. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { unreadable } from "../base/read-file.js";
import type { SaeSiteAt } from "../nodes/site.js";

/** How a folder of SAEs is laid out. */
export type SaeLayout = "gemma-scope" | "gemma-scope-2" | "saelens";

/** One SAE of a folder. */
export interface SaeCandidate extends SaeSiteAt {
  readonly layout: SaeLayout;
  /** The file with the weights. */
  readonly path: string;
  /** Number of features, as the folder or its config says. */
  readonly width: number;
  /** Mean number of active features, where the folder says it. */
  readonly l0: number | null;
}

/**
 * Names of the folders in a folder, sorted.
 * @throws PatchbayError `bad_input` when it is not a folder that can be read.
 */
export function subfolders(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.isDirectory()).sort(); // prettier-ignore
  } catch (error) {
    throw unreadable(folder, error);
  }
}
