/** @file What clients call: submit, status, watch, cancel, fetch. */
import type { sendUnaryData, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import { must } from "../base/assert.js";
import { codecs, type Codec } from "../wire/codec.js";
import { toServiceError } from "../wire/failure.js";
import { isFinal, type SubmitReply, type SubmitRequest } from "../wire/messages.js";
import { artifactParts } from "./artifact-files.js";
import type { Cluster } from "./cluster.js";
import { findRun, runNameOf, shownStatus } from "./run-names.js";

/** A watcher hears of changes at most this often. */
const WATCH_INTERVAL_MS = 250;

type UnaryCall = ServerUnaryCall<Buffer, Buffer>;
type StreamCall = ServerWritableStream<Buffer, Buffer>;

/** The handlers of the client calls. `submit` plans a sweep and queues its run. */
export function clientHandlers(cluster: Cluster, submit: (request: SubmitRequest) => Promise<SubmitReply>) {
  const find = (given: string): string => findRun(given, cluster.folders());
  return {
    submit: unary(codecs.submitRequest, codecs.submitReply, async (request) => {
      const reply = await submit(request);
      return { ...reply, run: runNameOf(reply.folder) };
    }),
    status: unary(codecs.statusRequest, codecs.clusterStatus, ({ run }) => {
      const found = run === "" ? undefined : find(run);
      const all = cluster.clusterStatus();
      return { ...all, runs: all.runs.filter((one) => found === undefined || one.run === found).map(shownStatus) };
    }),
    cancel: unary(codecs.cancelRequest, codecs.cancelReply, ({ run: given }) => {
      const run = find(given);
      cluster.dispatch({ kind: "cancel", run });
      return { state: cluster.status(run).state };
    }),
    watch: stream(async (call) => {
      const { run } = codecs.watchRequest.decode(call.request);
      await watch(call, cluster, find(run));
    }),
    fetchArtifact: stream(async (call) => {
      const request = codecs.fetchRequest.decode(call.request);
      const run = find(request.run);
      const folder = must(cluster.folders().get(run), "folder");
      const parts = artifactParts(folder, request, () => cluster.remakeArtifact(run, request.name));
      for await (const part of parts) {
        await write(call, codecs.artifactPart.encode(part));
        if (call.cancelled) return;
      }
    }),
  };
}

function unary<Request, Reply>(
  request: Codec<Request>,
  reply: Codec<Reply>,
  answer: (message: Request) => Reply | Promise<Reply>,
): (call: UnaryCall, callback: sendUnaryData<Buffer>) => void {
  const handle = async (bytes: Buffer): Promise<Buffer> => reply.encode(await answer(request.decode(bytes)));
  return (call, callback) => {
    handle(call.request).then(
      (bytes) => {
        callback(null, bytes);
      },
      (thrown: unknown) => {
        callback(toServiceError(thrown));
      },
    );
  };
}

function stream(handle: (call: StreamCall) => Promise<void>): (call: StreamCall) => void {
  return (call) => {
    handle(call).then(
      () => {
        call.end();
      },
      (thrown: unknown) => {
        call.emit("error", toServiceError(thrown));
      },
    );
  };
}

/** Sends the run's status when it has changed since the last look; the last one is final. */
function watch(call: StreamCall, cluster: Cluster, run: string): Promise<void> {
  return new Promise((resolve) => {
    let changed = true;
    const off = cluster.driver.onChange(() => {
      changed = true;
    });
    const stop = (): void => {
      clearInterval(timer);
      off();
      resolve();
    };
    const look = (): void => {
      if (!changed || call.writableNeedDrain) return;
      changed = false;
      const now = cluster.status(run);
      call.write(codecs.runStatus.encode(shownStatus(now)));
      if (isFinal(now.state)) stop();
    };
    const timer = setInterval(look, WATCH_INTERVAL_MS);
    call.once("cancelled", stop);
    look();
  });
}

async function write(call: StreamCall, bytes: Buffer): Promise<void> {
  if (call.write(bytes) || call.cancelled) return;
  await new Promise<void>((resolve) => call.once("drain", resolve).once("cancelled", resolve).once("close", resolve));
}
