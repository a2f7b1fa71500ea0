/** @file Where the hub is, who asks, and where files are kept: the variables that Python's huggingface_hub reads. */
import { getHFHubCachePath } from "@huggingface/hub";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { badInput, type ErrorDetail } from "../base/errors.js";

const PUBLIC_HUB = "https://huggingface.co";

/** How to reach a hub. */
export interface HubSettings {
  /** Address without a slash at its end. */
  readonly endpoint: string;
  /** The cache that Python's huggingface_hub uses too. */
  readonly cacheFolder: string;
  readonly token: string | null;
  /** Nothing is asked of the hub: what is not in the cache is an error. */
  readonly offline: boolean;
}

/**
 * Reads HF_ENDPOINT, HF_HUB_CACHE or HF_HOME, HF_TOKEN or the file that `hf auth login` writes, and HF_HUB_OFFLINE.
 * @param endpoint - wins over HF_ENDPOINT.
 * @throws bad_input for an address or a token that is none.
 */
export function readHubSettings(endpoint?: string): HubSettings {
  const given = endpoint ?? process.env["HF_ENDPOINT"] ?? PUBLIC_HUB;
  const field = endpoint === undefined ? "HF_ENDPOINT" : "--endpoint";
  if (!/^https?:$/.test(URL.parse(given)?.protocol ?? ""))
    throw badInput(`expected an http(s) address, got ${given}`, { field });
  return {
    endpoint: given.replace(/\/+$/, ""),
    cacheFolder: getHFHubCachePath(),
    token: readToken(),
    offline: /^(1|on|yes|true)$/i.test(process.env["HF_HUB_OFFLINE"] ?? ""),
  };
}

function readToken(): string | null {
  const { HF_TOKEN, HF_TOKEN_PATH, HF_HOME, XDG_CACHE_HOME } = process.env;
  if (HF_TOKEN !== undefined && HF_TOKEN.trim() !== "") return checkedToken(HF_TOKEN.trim(), { field: "HF_TOKEN" });
  const home = HF_HOME ?? join(XDG_CACHE_HOME ?? join(homedir(), ".cache"), "huggingface");
  const file = HF_TOKEN_PATH ?? join(home, "token");
  let token: string;
  try {
    token = readFileSync(file, "utf8").trim();
  } catch {
    return null; // Nobody has logged in.
  }
  return token === "" ? null : checkedToken(token, { file });
}

/** What is no header would come back inside an error: the message must not hold it. */
function checkedToken(token: string, where: ErrorDetail): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw badInput("expected a token of printable ASCII characters, got others; copy it again", where);
}
