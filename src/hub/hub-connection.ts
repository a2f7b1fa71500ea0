/** @file Requests to a hub: the token goes to the hub alone, silence is bounded, and what may pass is tried again. */
import { setTimeout as sleep } from "node:timers/promises";
import { ZodError } from "zod";
import { badInput, PatchbayError } from "../base/errors.js";
import { invalid } from "../base/read-file.js";
import { type Asked, brokenConnection, HubFailure, refusal, hubUnreachable } from "./hub-errors.js";
import type { HubSettings } from "./hub-settings.js";

/** Tries in a row that bring nothing. */
const MAX_TRIES = 5;
const FIRST_PAUSE_MS = 1000;
/** A server may say nothing for this long. */
const SILENCE_MS = 60_000;
/** Largest answer of the hub that is not a file. */
const MAX_ANSWER_BYTES = 64 * 2 ** 20;

/** How a hub is talked to. */
export interface HubConnection {
  readonly settings: HubSettings;
  /** Told what is waited for. */
  readonly say: (text: string) => void;
  /** Waits; tests replace it. */
  readonly wait: (ms: number) => Promise<void>;
}

/** A connection that waits by the clock, and says each text once however many files and tries it holds for. */
export function openHub(settings: HubSettings, say: (text: string) => void = () => undefined): HubConnection {
  const said = new Set<string>();
  const sayOnce = (text: string): void => {
    if (!said.has(text)) say(text);
    said.add(text);
  };
  return { settings, say: sayOnce, wait: (ms) => sleep(ms) };
}

/**
 * Repeats an attempt that failed for a reason that may pass, with growing pauses.
 * @param attempt - throws {@link HubFailure}; returns whether this try, though it failed, brought something.
 */
export async function retrying<T>(
  { say, wait }: HubConnection,
  attempt: (fruitful: () => void) => Promise<T>,
): Promise<T> {
  for (let failures = 0; ;) {
    try {
      return await attempt(() => (failures = 0));
    } catch (thrown) {
      if (!(thrown instanceof HubFailure)) throw thrown;
      failures++;
      if (thrown.againMs === null || failures >= MAX_TRIES) throw thrown.error;
      const pauseMs = Math.max(thrown.againMs, FIRST_PAUSE_MS * 2 ** (failures - 1));
      // Our own pauses grow from try to try and would make each text another one; a long pause that the hub asks for is news.
      say(
        `${thrown.message} (trying again${thrown.againMs > 0 ? ` in ${String(Math.ceil(thrown.againMs / 1000))} s` : ""})`,
      );
      await wait(pauseMs);
    }
  }
}

/** Aborts a request when nothing has come for a while. */
export interface SilenceAlarm {
  readonly signal: AbortSignal;
  /** Something came. */
  heard(): void;
  /** No longer of interest. */
  end(): void;
}

/** Sets the alarm. */
export function watchSilence(): SilenceAlarm {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(new Error(`no answer for ${SILENCE_MS / 1000} s`));
  }, SILENCE_MS);
  return {
    signal: controller.signal,
    heard: () => timer.refresh(),
    end: () => {
      clearTimeout(timer);
    },
  };
}

/**
 * One request, not repeated. Redirects are followed; the token is not sent to where they lead.
 * @throws HubFailure for everything but a success.
 */
export async function request(
  { settings }: HubConnection,
  asked: Asked,
  url: string,
  init: RequestInit & { readonly signal: AbortSignal },
): Promise<Response> {
  if (settings.offline)
    throw new HubFailure(
      badInput(`${describe(asked)} is not in ${settings.cacheFolder}, and HF_HUB_OFFLINE forbids to fetch it`),
      null,
    );
  const headers = new Headers(init.headers);
  const ours = new URL(url).origin === new URL(settings.endpoint).origin;
  if (settings.token !== null && ours) headers.set("authorization", `Bearer ${settings.token}`);
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers });
  } catch (thrown) {
    throw brokenConnection(thrown, settings);
  }
  if (response.ok) return response;
  await response.body?.cancel().catch(() => undefined);
  throw refusal(response, asked, settings);
}

/** A `fetch` for the hub's library: whole answers only, repeated where that may help. */
export function politeFetch(connection: HubConnection, asked: Asked): typeof fetch {
  return (input, init) =>
    retrying(connection, async () => {
      const alarm = watchSilence();
      try {
        const url = input instanceof Request ? input.url : String(input);
        const response = await request(connection, asked, url, { ...init, signal: alarm.signal });
        return new Response(await readWhole(response, alarm, connection), { headers: response.headers });
      } finally {
        alarm.end();
      }
    });
}

async function readWhole(response: Response, alarm: SilenceAlarm, { settings }: HubConnection): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of response.body ?? []) {
      alarm.heard();
      parts.push(part as Uint8Array);
      length += (part as Uint8Array).length;
      if (length > MAX_ANSWER_BYTES)
        throw new HubFailure(
          hubUnreachable(`${settings.endpoint} answers with more than ${MAX_ANSWER_BYTES} bytes; is this a hub?`),
          null,
        );
    }
  } catch (thrown) {
    throw thrown instanceof HubFailure ? thrown : brokenConnection(thrown, settings);
  }
  return Buffer.concat(parts);
}

/** Runs a call of the hub's library; what it throws of its own means that the answer was not a hub's. */
export async function fromLibrary<T>({ settings }: HubConnection, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    if (thrown instanceof PatchbayError) throw thrown;
    const fault = thrown instanceof ZodError ? invalid(thrown, {}) : thrown;
    const reason = fault instanceof Error ? fault.message : String(fault);
    throw hubUnreachable(
      `${settings.endpoint} does not answer as a hub does (${reason}); check HF_ENDPOINT and any proxy`,
      thrown,
    );
  }
}

function describe({ repo, revision, path }: Asked): string {
  return `${repo}${path === null ? "" : ` ${path}`} at ${revision}`;
}
