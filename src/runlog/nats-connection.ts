/** @file Connects to NATS, says in the user's words why it cannot, and waits out a server that is away for a while. */
import { EventEmitter, once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";
import { connect, ErrorCode, Events, NatsError, type NatsConnection } from "nats";
import { badInput, PatchbayError } from "../base/errors.js";

const CONNECT_TIMEOUT_MS = 5_000;
const RECONNECT_WAIT_MS = 250;
const RETRY_WAIT_MS = 250;

/** A connection, and the server's address without credentials, for messages. */
export interface NatsLink {
  readonly connection: NatsConnection;
  readonly address: string;
  /** `lost`: the connection broke, and answers to requests under way will not come. `back`: it is there again. */
  readonly events: EventEmitter<{ lost: []; back: [] }>;
  /** Whether requests can be sent now; one sent while this is false is lost. */
  isUp(): boolean;
}

/**
 * Connects. Afterwards the connection restores itself whenever the server comes back.
 * @throws PatchbayError `nats_unreachable` when no server answers; `bad_input` when the address or the credentials are wrong.
 */
export async function connectNats(location: string): Promise<NatsLink> {
  const { address, servers, user, pass } = parseLocation(location);
  try {
    const connection = await connect({
      servers,
      name: "patchbay",
      timeout: CONNECT_TIMEOUT_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_WAIT_MS,
      ...(user === "" ? {} : { user, pass }),
    });
    return { connection, address, ...watch(connection) };
  } catch (thrown) {
    throw connectError(address, thrown);
  }
}

function watch(connection: NatsConnection): Pick<NatsLink, "events" | "isUp"> {
  const events: NatsLink["events"] = new EventEmitter();
  events.setMaxListeners(0);
  let up = true;
  const follow = async (): Promise<void> => {
    for await (const { type } of connection.status()) {
      if (type !== Events.Disconnect && type !== Events.Reconnect) continue;
      up = type === Events.Reconnect;
      events.emit(up ? "back" : "lost");
    }
    up = true;
    events.emit("back"); // Closed: whoever waits asks again, and is told so.
  };
  void follow();
  return { events, isUp: () => up };
}

/** Requests fail like this while the server is away, restarting, or electing a leader. */
export function isTransient(thrown: unknown): boolean {
  return thrown instanceof NatsError && (TRANSIENT.has(thrown.code) || thrown.api_error?.code === 503);
}

const TRANSIENT: ReadonlySet<string> = new Set([
  ErrorCode.Timeout,
  ErrorCode.NoResponders,
  ErrorCode.Disconnect,
  ErrorCode.ConnectionRefused,
  ErrorCode.ConnectionTimeout,
]);

/**
 * Repeats a request while it fails only because the server is away. The request must be safe to repeat.
 * @throws PatchbayError `nats_unreachable` after `patienceMs`.
 */
export async function retryTransient<T>(link: NatsLink, patienceMs: number, request: () => Promise<T>): Promise<T> {
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    try {
      if (!link.isUp()) await reconnected(link, giveUpAt - performance.now());
      return await unlessLost(link, request);
    } catch (thrown) {
      if (!isTransient(thrown)) throw thrown;
      if (performance.now() >= giveUpAt) {
        const seconds = String(Math.round(patienceMs / 1000));
        throw natsUnreachable(link.address, `expected an answer within ${seconds} s, got ${reason(thrown)}`, thrown);
      }
    }
    await wait(RETRY_WAIT_MS);
  }
}

/** Fails as soon as the connection breaks, instead of after the request's own timeout. */
async function unlessLost<T>(link: NatsLink, request: () => Promise<T>): Promise<T> {
  const settled = new AbortController();
  const lost = once(link.events, "lost", { signal: settled.signal }).then(() => {
    throw NatsError.errorForCode(ErrorCode.Disconnect);
  });
  try {
    return await Promise.race([request(), lost]);
  } finally {
    settled.abort();
  }
}

async function reconnected(link: NatsLink, patienceMs: number): Promise<void> {
  try {
    await once(link.events, "back", { signal: AbortSignal.timeout(Math.max(0, patienceMs)) });
  } catch (cause) {
    throw NatsError.errorForCode(ErrorCode.Disconnect, cause instanceof Error ? cause : undefined);
  }
}

function parseLocation(location: string): { address: string; servers: string; user: string; pass: string } {
  if (!URL.canParse(location)) throw badInput(`expected nats://HOST:PORT, got ${location}`, { field: "--log" });
  const url = new URL(location);
  const port = url.port === "" ? "4222" : url.port;
  const [user, pass] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  return {
    address: `${url.protocol}//${url.hostname}:${port}`,
    servers: `${url.protocol}//${url.hostname}:${port}`,
    user,
    pass,
  };
}

function connectError(address: string, thrown: unknown): PatchbayError {
  const refused = thrown instanceof NatsError && (thrown.isAuthError() || thrown.isAuthTimeout());
  if (refused) {
    const remedy = "write them into the address: nats://USER:PASSWORD@HOST:PORT";
    return badInput(`NATS at ${address} refuses the credentials; ${remedy}`, { field: "--log" }, thrown);
  }
  return natsUnreachable(address, `expected a server, got ${reason(thrown)}`, thrown);
}

/** The error of a server that does not answer. */
export function natsUnreachable(address: string, what: string, cause?: unknown): PatchbayError {
  const remedy = "start it (nats-server -js), correct the address, or keep results in a folder with --log dir";
  return new PatchbayError("nats_unreachable", `NATS at ${address}: ${what}; ${remedy}`, { cause });
}

const REASONS: Readonly<Record<string, string>> = {
  [ErrorCode.ConnectionRefused]: "connection refused",
  [ErrorCode.Timeout]: "no answer",
  [ErrorCode.Disconnect]: "a broken connection",
  [ErrorCode.NoResponders]: "no JetStream behind it",
  ENOTFOUND: "an unknown host name",
};

function reason(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const code = "code" in thrown && typeof thrown.code === "string" ? thrown.code : "";
  return REASONS[code] ?? `${thrown.message}${code === "" || code === thrown.message ? "" : ` (${code})`}`;
}
