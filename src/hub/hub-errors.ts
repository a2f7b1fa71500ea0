/** @file What a hub's refusals mean, in words that say what to do. */
import { badInput, PatchbayError } from "../base/errors.js";
import type { HubSettings } from "./hub-settings.js";

/** A failure, and whether the same request may work later. */
export class HubFailure extends Error {
  readonly error: PatchbayError;
  /** Least time until another try; null: there is no point in one. */
  readonly againMs: number | null;

  constructor(error: PatchbayError, againMs: number | null) {
    super(error.message, { cause: error });
    this.error = error;
    this.againMs = againMs;
  }
}

/** What was asked for. */
export interface Asked {
  readonly repo: string;
  readonly revision: string;
  /** File of the repository; null: its description. */
  readonly path: string | null;
}

/** Statuses that pass by themselves. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);
/** A hub that wants a longer pause is told no. */
const MAX_PAUSE_MS = 300_000;

/** A response that is not a success, as a failure. */
export function refusal(response: Response, asked: Asked, settings: HubSettings): HubFailure {
  const { status, headers } = response;
  if (!PASSING.has(status)) return new HubFailure(lastingRefusal(status, headers, asked, settings), null);
  const pauseMs = requestedPauseMs(headers);
  const what = status === 429 ? "asks for fewer requests (status 429)" : `has trouble of its own (status ${status})`;
  const pause = pauseMs === null ? "" : `; it asks to wait ${Math.ceil(pauseMs / 1000)} s`;
  const advice = status === 429 && settings.token === null ? "; with a token in HF_TOKEN the limits are higher" : "";
  const error = hubUnreachable(`${settings.endpoint} ${what}${pause}; try again later${advice}`, response);
  return new HubFailure(error, pauseMs !== null && pauseMs > MAX_PAUSE_MS ? null : (pauseMs ?? 0));
}

/** No answer at all, or one that broke off. */
export function brokenConnection(thrown: unknown, { endpoint, cacheFolder }: HubSettings): HubFailure {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  const reason = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : String(cause);
  const words = `${endpoint} cannot be reached (${reason}); check the network, or name another hub in HF_ENDPOINT; files that are in ${cacheFolder} already are used without a network`;
  return new HubFailure(hubUnreachable(words, thrown), 0);
}

/** The hub is away, overloaded, or sends damaged files. */
export function hubUnreachable(message: string, cause?: unknown): PatchbayError {
  return new PatchbayError("hub_unreachable", message, { cause });
}

function lastingRefusal(
  status: number,
  headers: Headers,
  { repo, revision, path }: Asked,
  { endpoint, token }: HubSettings,
): PatchbayError {
  const code = headers.get("x-error-code") ?? "";
  const said = headers.get("x-error-message") ?? "";
  const page = `${endpoint}/${repo}`;
  if (code === "GatedRepo")
    return badInput(
      token === null
        ? `${repo} is gated: accept its licence at ${page} (logged in), make a token at ${endpoint}/settings/tokens and set HF_TOKEN to it`
        : `${repo} is gated, and the account of your token has no access: accept its licence at ${page}; a fine-grained token also needs read access to gated repositories (${endpoint}/settings/tokens)`,
    );
  if (code === "RevisionNotFound")
    return badInput(`${repo} has no revision ${revision}; ${page}/tree/main shows those it has`);
  if (code === "EntryNotFound") return badInput(`${repo} has no file ${path ?? ""} at ${revision}`);
  if (status === 401 && token !== null && code !== "RepoNotFound")
    return badInput(
      `${endpoint} refuses your token (status 401): set HF_TOKEN to a valid one (${endpoint}/settings/tokens), or remove it; without HF_TOKEN the file that \`hf auth login\` wrote is used`,
    );
  if (status === 404 || status === 401)
    return badInput(
      `${endpoint} has no repository ${repo}${token === null ? " that can be seen without a token: check the name, or set HF_TOKEN if it is private" : " that your token may see: check the name"}`,
    );
  if (status === 403)
    return badInput(
      `${endpoint} denies access to ${repo} (status 403${said === "" ? "" : `: ${said}`}); ${token === null ? "set HF_TOKEN to a token" : "use a token in HF_TOKEN"} that may read it`,
    );
  return badInput(`${endpoint} answers ${status}${said === "" ? "" : ` (${said})`} for ${repo} at ${revision}`);
}

/** `Retry-After` in seconds or as a date, or the `t` of `RateLimit`. */
function requestedPauseMs(headers: Headers): number | null {
  const after = headers.get("retry-after");
  const seconds = Number(after ?? /\bt=(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1] ?? Number.NaN);
  if (Number.isFinite(seconds) && seconds >= 0) return seconds * 1000;
  const date = Date.parse(after ?? "");
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now());
}
