/** @file The workers' streams: decodes what they say, and carries what the state machine answers. */
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { PatchbayError, toPatchbayError } from "../base/errors.js";
import { codecs } from "../wire/codec.js";
import { toServiceError } from "../wire/failure.js";
import { PROTOCOL_VERSION } from "../wire/limits.js";
import type { FromCoordinator, FromWorker } from "../wire/messages.js";
import { toEvent, type CoordinatorEvent } from "./events.js";

/** A stream that has not registered by then is closed. */
const REGISTER_WITHIN_MS = 10_000;

/** A worker's stream on the server. */
export type AttachCall = ServerDuplexStream<Buffer, Buffer>;

/** What sessions tell the coordinator. */
export interface SessionHandlers {
  readonly onEvent: (event: CoordinatorEvent) => void;
  /** An engine's time spent on loading; `instance` names the worker's process. */
  readonly onLoading: (instance: string, seconds: number) => void;
}

interface Session {
  readonly call: AttachCall;
  readonly done: Set<string>;
  worker: string | null;
  instance: string;
}

/** All streams. */
export class Sessions {
  readonly #handlers: SessionHandlers;
  readonly #open = new Map<string, Session>();
  #last = 0;
  #onEmpty: () => void = () => undefined;

  constructor(handlers: SessionHandlers) {
    this.#handlers = handlers;
  }

  /** Takes a new stream. */
  accept(call: AttachCall): void {
    const id = `s${++this.#last}`;
    const session: Session = { call, done: new Set(), worker: null, instance: "" };
    this.#open.set(id, session);
    const timer = setTimeout(() => {
      if (session.worker === null) this.close(id, new PatchbayError("bad_message", "no registration on this stream"));
    }, REGISTER_WITHIN_MS);
    const finish = (): void => {
      clearTimeout(timer);
      this.#end(id);
    };
    call.on("data", (bytes: Buffer) => {
      this.#receive(id, bytes);
    });
    call.on("cancelled", finish).on("close", finish).on("error", finish);
    call.on("end", () => {
      finish();
      call.end();
    });
  }

  /** Sends, if the stream is still open. */
  send(id: string, message: FromCoordinator): void {
    this.#open.get(id)?.call.write(codecs.fromCoordinator.encode(message));
  }

  /** Runs `first` once for each pair of stream and key. */
  once(id: string, key: string, first: () => void): void {
    const session = this.#open.get(id);
    if (session === undefined || session.done.has(key)) return;
    session.done.add(key);
    first();
  }

  /** Ends a stream with an error; the worker may dial again. */
  close(id: string, error: PatchbayError): void {
    const call = this.#open.get(id)?.call;
    this.#end(id);
    call?.emit("error", toServiceError(error));
  }

  names(): string[] {
    return [...this.#open.keys()];
  }

  /** Resolves when no stream is open any more, or after `limitMs`. */
  empty(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#open.size === 0) this.#onEmpty();
    });
  }

  #end(id: string): void {
    const session = this.#open.get(id);
    if (session === undefined) return;
    this.#open.delete(id);
    if (session.worker !== null) {
      this.#handlers.onEvent({ kind: "workerDetached", worker: session.worker, session: id });
    }
    if (this.#open.size === 0) this.#onEmpty();
  }

  #receive(id: string, bytes: Buffer): void {
    const session = this.#open.get(id);
    if (session === undefined) return;
    try {
      this.#take(id, session, codecs.fromWorker.decode(bytes));
    } catch (thrown) {
      this.close(id, toPatchbayError(thrown));
    }
  }

  #take(id: string, session: Session, message: FromWorker): void {
    if (message.kind === "register") {
      if (session.worker !== null) throw new PatchbayError("bad_message", "a stream registers once");
      expectProtocol(message.protocol);
      session.worker = message.worker;
      session.instance = `${message.worker} ${message.instance}`;
    }
    if (session.worker === null) throw new PatchbayError("bad_message", "a stream begins with its registration");
    if (message.kind === "heartbeat" && message.engine !== null) {
      this.#handlers.onLoading(session.instance, message.engine.loadSeconds);
    }
    this.#handlers.onEvent(toEvent(session.worker, id, message));
  }
}

function expectProtocol(version: number): void {
  if (version === PROTOCOL_VERSION) return;
  throw new PatchbayError(
    "bad_message",
    `protocol: the coordinator speaks version ${PROTOCOL_VERSION}, the worker ${version}; install the same release on both`,
  );
}
