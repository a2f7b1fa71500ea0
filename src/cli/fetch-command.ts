/** @file `patchbay fetch`: weights by name, into the cache that Python's huggingface_hub shares. */
import { badInput } from "../base/errors.js";
import { SITES, type Site } from "../circuit/site.js";
import { fetchByName } from "../hub/fetch-weights.js";
import { showFetch } from "../hub/fetch-display.js";
import { openHub } from "../hub/hub-connection.js";
import { readHubSettings } from "../hub/hub-settings.js";
import type { SaeOptions } from "../weights/sae-folder.js";

/** Options of the command, as text. */
export interface FetchOptions {
  readonly revision: string;
  readonly canonical: boolean;
  readonly width?: string;
  readonly l0?: string;
  readonly layers?: string;
  readonly sites?: string;
  readonly endpoint?: string;
  readonly json: boolean;
}

/** Most layers that a list of layers may name. */
const MAX_LAYERS = 1000;

/**
 * Fetches a checkpoint or SAEs and prints the folder.
 * @throws bad_input for flags and for what the hub refuses; hub_unreachable; disk_full.
 */
export async function fetchCommand(name: string, options: FetchOptions): Promise<void> {
  const progress = showFetch(process.stderr);
  const hub = openHub(readHubSettings(options.endpoint), progress.say);
  try {
    const { kind, path, snapshots } = await fetchByName(
      hub,
      name,
      options.revision,
      saeOptions(options),
      progress.show,
    );
    progress.end();
    const sources = snapshots.map(({ repo, commit }) => ({ repo, commit }));
    const said = sources.map(({ repo, commit }) => `${repo} at ${commit.slice(0, 12)}`).join(", ");
    process.stdout.write(
      options.json ? `${JSON.stringify({ path, kind, sources })}\n` : `${said}\n${kind}: { path: ${path} }\n`,
    );
  } finally {
    progress.end();
  }
}

function saeOptions({ canonical, width, l0, layers, sites }: FetchOptions): SaeOptions {
  if (canonical && l0 !== undefined)
    throw badInput("expected one of --canonical and --l0, got both", { field: "--l0" });
  return {
    ...(width === undefined ? {} : { width }),
    ...(l0 === undefined ? { l0: "canonical" } : { l0: l0 === "canonical" ? l0 : wholeNumber(l0, "--l0") }),
    ...(layers === undefined ? {} : { layers: layerList(layers) }),
    ...(sites === undefined ? {} : { sites: siteList(sites) }),
  };
}

/** `0,4,12-15`. */
function layerList(text: string): number[] {
  const list = text.split(",").flatMap((part) => {
    const [first = "", last = first] = part.split("-");
    const [from, to] = [wholeNumber(first, "--layers"), wholeNumber(last, "--layers")];
    if (to < from || to - from >= MAX_LAYERS)
      throw badInput(`expected e.g. 0,4,12-15, got ${text}`, { field: "--layers" });
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  return [...new Set(list)].sort((a, b) => a - b);
}

function siteList(text: string): Site[] {
  return text.split(",").map((part) => {
    const site = SITES.find((one) => one === part.trim());
    if (site === undefined) throw badInput(`expected some of ${SITES.join(",")}, got ${text}`, { field: "--sites" });
    return site;
  });
}

function wholeNumber(text: string, field: string): number {
  if (/^\s*\d{1,6}\s*$/.test(text)) return Number(text);
  throw badInput(`expected a whole number, got ${text}`, { field });
}
