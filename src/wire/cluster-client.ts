/** @file The client side of the contract: what the commands and the workers call. */
import { Client, credentials, type ClientDuplexStream } from "@grpc/grpc-js";
import { PatchbayError, toPatchbayError } from "../base/errors.js";
import { codecs, type Codec } from "./codec.js";
import { fromServiceError } from "./failure.js";
import type {
  ArtifactPart,
  CancelReply,
  ClusterStatus,
  FromCoordinator,
  FromWorker,
  RunStatus,
  SubmitReply,
  SubmitRequest,
} from "./messages.js";
import { CHANNEL_OPTIONS, clusterService, type BytesMethod } from "./service.js";

/** How long a unary call may take. */
const CALL_TIMEOUT_MS = 30_000;
/** Planning reads and tokenises the data. */
const SUBMIT_TIMEOUT_MS = 10 * 60_000;

/** A worker's stream. */
export interface AttachStream {
  send(message: FromWorker): void;
  /** Ends the stream; `onEnd` is still called. */
  close(): void;
}

/** What a worker's stream calls. After `onEnd` nothing is called. */
export interface AttachHandlers {
  onMessage(message: FromCoordinator): void;
  onEnd(error: PatchbayError): void;
}

/**
 * A connection to a coordinator. Every call rejects with a PatchbayError: the coordinator's own, or
 * `coordinator_unreachable`.
 */
export interface ClusterClient {
  attach(handlers: AttachHandlers): AttachStream;
  submit(request: SubmitRequest): Promise<SubmitReply>;
  /** `run`: only this one; all runs when empty. */
  status(run: string): Promise<ClusterStatus>;
  /** The run's status whenever it changes; the last one is final. Stop early with `break`. */
  watch(run: string): AsyncIterable<RunStatus>;
  cancel(run: string): Promise<CancelReply>;
  /** A header, then chunks. */
  fetchArtifact(run: string, name: string): AsyncIterable<ArtifactPart>;
  close(): void;
}

/** Prepares a connection to `host:port`; dialling starts with the first call. */
export function connectCluster(address: string): ClusterClient {
  const client = new Client(address, credentials.createInsecure(), {
    ...CHANNEL_OPTIONS,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
  });
  const { submit, status, watch, cancel, fetchArtifact } = clusterService;
  return {
    attach: (handlers) => attach(client, handlers),
    submit: (request) =>
      unary(client, submit, [codecs.submitRequest, request], {
        codec: codecs.submitReply,
        timeoutMs: SUBMIT_TIMEOUT_MS,
      }),
    status: (run) =>
      unary(client, status, [codecs.statusRequest, { run }], {
        codec: codecs.clusterStatus,
        timeoutMs: CALL_TIMEOUT_MS,
      }),
    watch: (run) => serverStream(client, watch, codecs.watchRequest.encode({ run }), codecs.runStatus),
    cancel: (run) =>
      unary(client, cancel, [codecs.cancelRequest, { run }], { codec: codecs.cancelReply, timeoutMs: CALL_TIMEOUT_MS }),
    fetchArtifact: (run, name) =>
      serverStream(client, fetchArtifact, codecs.fetchRequest.encode({ run, name }), codecs.artifactPart),
    close: () => {
      client.close();
    },
  };
}

function unary<Request, Reply>(
  client: Client,
  { path, requestSerialize, responseDeserialize }: BytesMethod,
  [request, message]: readonly [codec: Codec<Request>, message: Request],
  reply: { readonly codec: Codec<Reply>; readonly timeoutMs: number },
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const bytes = request.encode(message);
    const options = { deadline: Date.now() + reply.timeoutMs };
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, bytes, options, (error, answer) => {
      try {
        if (error !== null) throw fromServiceError(error);
        if (answer === undefined) throw new PatchbayError("bad_message", `${path}: no answer`);
        resolve(reply.codec.decode(answer));
      } catch (thrown) {
        reject(toPatchbayError(thrown));
      }
    });
  });
}

async function* serverStream<Reply>(
  client: Client,
  { path, requestSerialize, responseDeserialize }: BytesMethod,
  request: Buffer,
  reply: Codec<Reply>,
): AsyncGenerator<Reply, void, undefined> {
  const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
  call.on("error", () => undefined); // The loop throws it; but one may come after the loop, from `cancel`.
  try {
    for await (const bytes of call as AsyncIterable<Buffer>) yield reply.decode(bytes);
  } catch (thrown) {
    throw thrown instanceof PatchbayError ? thrown : fromServiceError(thrown);
  } finally {
    call.cancel();
  }
}

function attach(client: Client, handlers: AttachHandlers): AttachStream {
  const { path, requestSerialize, responseDeserialize } = clusterService.attach;
  const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
  );
  let open = true;
  const end = (error: PatchbayError): void => {
    if (!open) return;
    open = false;
    call.cancel();
    handlers.onEnd(error);
  };
  call.on("data", (bytes: Buffer) => {
    if (!open) return;
    try {
      handlers.onMessage(codecs.fromCoordinator.decode(bytes));
    } catch (thrown) {
      end(fromServiceError(thrown));
    }
  });
  call.on("error", (error) => {
    end(fromServiceError(error));
  });
  call.on("end", () => {
    end(new PatchbayError("coordinator_unreachable", "the coordinator closed the stream"));
  });
  return {
    send: (message) => {
      if (open) call.write(codecs.fromWorker.encode(message));
    },
    close: () => {
      end(new PatchbayError("cancelled", "the stream was closed here"));
    },
  };
}
