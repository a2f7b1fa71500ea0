/**
 * @file The gRPC service definition. Messages stay bytes here: a handler decodes them itself, so that an invalid one becomes an
 * error of ours and not a failure inside gRPC.
 */
import { logVerbosity, setLogVerbosity, type ChannelOptions, type MethodDefinition } from "@grpc/grpc-js";
import { MAX_MESSAGE_BYTES } from "./limits.js";

setLogVerbosity(logVerbosity.NONE); // Every failure reaches us as an error; the library need not print it as well.

/** A method whose requests and responses are encoded messages. */
export type BytesMethod = MethodDefinition<Buffer, Buffer>;

const asIs = (bytes: Buffer): Buffer => bytes;

function method(name: string, requestStream: boolean, responseStream: boolean): BytesMethod {
  return {
    path: `/patchbay.v1.Cluster/${name}`,
    requestStream,
    responseStream,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
}

/** The methods of proto/patchbay.proto. */
export const clusterService = {
  attach: method("Attach", true, true),
  submit: method("Submit", false, false),
  status: method("Status", false, false),
  watch: method("Watch", false, true),
  cancel: method("Cancel", false, false),
  fetchArtifact: method("FetchArtifact", false, true),
};

/**
 * Options of both sides. Keepalive finds dead TCP connections only; liveness is a matter of heartbeats.
 * Channelz stays on: without it grpc-js keeps no list of a server's sessions, and `forceShutdown` leaves them open.
 */
export const CHANNEL_OPTIONS: ChannelOptions = {
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES + 1024,
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES + 1024,
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.enable_http_proxy": 0,
  "grpc.use_local_subchannel_pool": 1,
};
