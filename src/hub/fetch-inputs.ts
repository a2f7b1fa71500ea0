/** @file Fetches the inputs of a run: by name when it is planned, and file for file the same on every machine that computes it. */
import type { SaeOptions } from "../weights/sae-folder.js";
import { chooseModelFiles } from "./choose-files.js";
import { type Screen, showFetch } from "./fetch-display.js";
import { fetchFiles } from "./fetch-files.js";
import { fetchSaes, findSaeFiles, withOwner } from "./fetch-weights.js";
import { openHub } from "./hub-connection.js";
import { readHubSettings } from "./hub-settings.js";
import { listRepo } from "./list-repo.js";
import type { HubSnapshot } from "./snapshot.js";

/** Something on a hub, as a sweep names it. */
export interface NamedOnHub {
  readonly hub: string;
  readonly revision: string;
}

/** What was fetched. */
export interface FetchedInput {
  /** Its folder on this machine. */
  readonly path: string;
  readonly snapshots: readonly HubSnapshot[];
}

/** Fetches a checkpoint by name. @throws bad_input, hub_unreachable, disk_full. */
export async function fetchNamedModel({ hub, revision }: NamedOnHub, screen: Screen): Promise<FetchedInput> {
  const display = showFetch(screen);
  const connection = openHub(readHubSettings(), display.say);
  const snapshot = chooseModelFiles(await listRepo(connection, withOwner(hub), revision));
  return { path: await fetchFiles(connection, snapshot, display.show).finally(display.end), snapshots: [snapshot] };
}

/** Fetches SAEs by name. @throws bad_input, hub_unreachable, disk_full. */
export async function fetchNamedSaes(
  { hub, revision }: NamedOnHub,
  options: SaeOptions,
  screen: Screen,
): Promise<FetchedInput> {
  const display = showFetch(screen);
  const connection = openHub(readHubSettings(), display.say);
  const snapshots = await findSaeFiles(connection, hub, revision, options);
  return { path: await fetchSaes(connection, snapshots, display.show).finally(display.end), snapshots };
}

/** Fetches the checkpoint that a run was planned with. @returns its folder here. @throws bad_input, hub_unreachable, disk_full. */
export async function fetchPlannedModel(snapshot: HubSnapshot, screen: Screen): Promise<string> {
  const display = showFetch(screen);
  return fetchFiles(openHub(readHubSettings(), display.say), snapshot, display.show).finally(display.end);
}

/** Fetches the SAEs that a run was planned with. @returns their folder here. @throws bad_input, hub_unreachable, disk_full. */
export async function fetchPlannedSaes(snapshots: readonly HubSnapshot[], screen: Screen): Promise<string> {
  const display = showFetch(screen);
  return fetchSaes(openHub(readHubSettings(), display.say), snapshots, display.show).finally(display.end);
}
