/**
 * @file Which SAEs of a Gemma Scope 2 repository are needed. Their folders name the width, but of the L0 only a label: the configs
 * of all that may be meant are fetched first, and the choice is made among the L0 that these say.
 */
import { join } from "node:path";
import { z } from "zod";
import { readJsonFile } from "../base/read-file.js";
import { listGemmaScope2Files } from "../weights/gemma-scope-2.js";
import { chooseSaes, isOfWidth, type SaeOptions } from "../weights/sae-folder.js";
import { fetchFiles } from "./fetch-files.js";
import type { HubConnection } from "./hub-connection.js";
import type { HubSnapshot } from "./snapshot.js";

const configSchema = z.looseObject({ l0: z.number().nullish() });

/** Whether the repository is laid out as Gemma Scope 2. */
export function isScope2({ files }: HubSnapshot): boolean {
  return listGemmaScope2Files(files.map(({ path }) => path)).length > 0;
}

/** The SAEs that the options mean. @throws bad_input when there are none, or the choice is ambiguous; hub_unreachable. */
export async function chooseScope2(
  connection: HubConnection,
  snapshot: HubSnapshot,
  options: SaeOptions,
): Promise<HubSnapshot> {
  const { repo, files } = snapshot;
  const listed = listGemmaScope2Files(files.map(({ path }) => path));
  // What is refused for its width, site or layer is refused before anything is fetched; any L0 will do for that.
  const anyL0 = listed.map((one, place) => ({ ...one, l0: place }));
  chooseSaes(repo, anyL0, options);
  const { sites, layers, width } = options;
  const meant = listed.filter(
    (one) => (sites?.includes(one.site) ?? true) && (layers?.includes(one.layer) ?? true) && isOfWidth(one, width),
  );
  const folderOf = ({ path }: { readonly path: string }): string => path.slice(0, path.lastIndexOf("/"));
  const configs = new Set(meant.map((one) => `${folderOf(one)}/config.json`));
  const here = await fetchFiles(connection, { ...snapshot, files: files.filter(({ path }) => configs.has(path)) });
  const known = meant.map((one) => ({
    ...one,
    l0: readJsonFile(join(here, folderOf(one), "config.json"), configSchema).l0 ?? null,
  }));
  const chosen = new Set(chooseSaes(repo, known, options).map(folderOf));
  const isNeeded = (path: string): boolean =>
    chosen.has(folderOf({ path })) && /\/(config\.json|params\.safetensors)$/.test(path);
  return { ...snapshot, files: files.filter(({ path }) => isNeeded(path)) };
}
