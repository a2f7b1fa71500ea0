/** @file Fetches a checkpoint or SAEs by name, to a folder that a sweep can name as `path`. */
import type { SaeSiteName } from "../nodes/site.js";
import type { SaeOptions } from "../weights/sae-folder.js";
import { chooseModelFiles, chooseSaeFiles, holdsSaes } from "./choose-files.js";
import { chooseScope2, isScope2 } from "./choose-scope-2.js";
import { fetchFiles, gatherSnapshots, type OnFetchProgress } from "./fetch-files.js";
import type { HubConnection } from "./hub-connection.js";
import { listRepo } from "./list-repo.js";
import type { HubSnapshot } from "./snapshot.js";

/** Whose repositories are meant by a name without an owner. */
const DEFAULT_OWNER = "google";
/** One name for the repositories of three sites: `gemma-scope-2b-pt`. */
const SCOPE_FAMILY = /(^|\/)gemma-scope-\d+b-(pt|it)$/;
const SUFFIXES: Readonly<Record<SaeSiteName, string>> = { attn_z: "-att", mlp_out: "-mlp", resid_post: "-res" };

/** Weights that were fetched. */
export interface FetchedWeights {
  readonly kind: "model" | "saes";
  /** Folder for `model.path` or `saes.path`. */
  readonly path: string;
  readonly snapshots: readonly HubSnapshot[];
}

/** Chooses SAEs from a repository, or from those of a family. @throws bad_input, hub_unreachable. */
export async function findSaeFiles(
  connection: HubConnection,
  name: string,
  revision: string,
  options: SaeOptions,
): Promise<HubSnapshot[]> {
  const found: HubSnapshot[] = [];
  for (const [repo, ofRepo] of saeRepos(name, options))
    found.push(await chooseOfRepo(connection, await listRepo(connection, repo, revision), ofRepo));
  return found;
}

/** Fetches chosen SAEs. @returns a folder that holds them and nothing else. */
export async function fetchSaes(
  connection: HubConnection,
  snapshots: readonly HubSnapshot[],
  onProgress?: OnFetchProgress,
): Promise<string> {
  for (const snapshot of snapshots) await fetchFiles(connection, snapshot, onProgress);
  return await gatherSnapshots(connection, snapshots);
}

/** Fetches whatever the name means: the repository says whether it holds a checkpoint or SAEs. */
export async function fetchByName(
  connection: HubConnection,
  name: string,
  revision: string,
  options: SaeOptions,
  onProgress?: OnFetchProgress,
): Promise<FetchedWeights> {
  const chosen = SCOPE_FAMILY.test(name)
    ? await findSaeFiles(connection, name, revision, options)
    : await chooseEither(connection, await listRepo(connection, withOwner(name), revision), options);
  if (Array.isArray(chosen)) {
    return { kind: "saes", path: await fetchSaes(connection, chosen, onProgress), snapshots: chosen };
  }
  return { kind: "model", path: await fetchFiles(connection, chosen, onProgress), snapshots: [chosen] };
}

async function chooseEither(
  connection: HubConnection,
  snapshot: HubSnapshot,
  options: SaeOptions,
): Promise<HubSnapshot | HubSnapshot[]> {
  const isSaes = holdsSaes(snapshot) || isScope2(snapshot);
  return isSaes ? [await chooseOfRepo(connection, snapshot, options)] : chooseModelFiles(snapshot);
}

function chooseOfRepo(connection: HubConnection, snapshot: HubSnapshot, options: SaeOptions): Promise<HubSnapshot> {
  return isScope2(snapshot)
    ? chooseScope2(connection, snapshot, options)
    : Promise.resolve(chooseSaeFiles(snapshot, options));
}

/** The repositories that a name stands for, each with the options that concern it. */
function saeRepos(name: string, options: SaeOptions): (readonly [repo: string, options: SaeOptions])[] {
  const repo = withOwner(name);
  if (!SCOPE_FAMILY.test(name)) return [[repo, options]];
  const sites = options.sites ?? (Object.keys(SUFFIXES) as SaeSiteName[]);
  return sites.map((site) => [repo + SUFFIXES[site], { ...options, sites: [site] }]);
}

/** The full name of a repository. */
export function withOwner(name: string): string {
  return name.includes("/") ? name : `${DEFAULT_OWNER}/${name}`;
}
