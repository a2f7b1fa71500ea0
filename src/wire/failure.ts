/** @file Errors across process boundaries: the error family <-> {@link Failure}, and <-> gRPC status for calls. */
import { Metadata, status, type ServiceError } from "@grpc/grpc-js";
import { z } from "zod";
import { allOf, PatchbayError, toPatchbayError, type ErrorCode } from "../base/errors.js";
import { clip, MAX_LISTED } from "./limits.js";
import { failureSchema, type Failure } from "./messages.js";

/** Key of the trailer that carries the error as JSON. */
const TRAILER = "patchbay-error-bin";

const STATUS: Readonly<Record<ErrorCode, status>> = {
  bad_input: status.INVALID_ARGUMENT,
  not_built: status.UNIMPLEMENTED,
  different_plan: status.FAILED_PRECONDITION,
  different_environment: status.FAILED_PRECONDITION,
  port_in_use: status.ALREADY_EXISTS,
  nats_unreachable: status.UNAVAILABLE,
  hub_unreachable: status.UNAVAILABLE,
  disk_full: status.RESOURCE_EXHAUSTED,
  coordinator_unreachable: status.UNAVAILABLE,
  non_finite: status.INTERNAL,
  out_of_memory: status.RESOURCE_EXHAUSTED,
  engine_died: status.INTERNAL,
  engine_start_failed: status.INTERNAL,
  engine_stalled: status.INTERNAL,
  worker_lost: status.UNAVAILABLE,
  application: status.INTERNAL,
  corrupt_record: status.DATA_LOSS,
  damaged_artifact: status.DATA_LOSS,
  nondeterminism: status.INTERNAL,
  bad_message: status.INVALID_ARGUMENT,
  cancelled: status.CANCELLED,
};

/** An error, and the further faults of its round. */
const trailerSchema = failureSchema.unwrap().extend({ others: z.array(failureSchema).max(MAX_LISTED).default([]) });

/** Longest further faults that are sent, in characters, and what their fields take beside the message. */
const MAX_OTHERS_LENGTH = 3000;
const FIELDS_LENGTH = 100;

/** Whatever was thrown, as a message. Long texts are cut. */
export function toFailure(thrown: unknown): Failure {
  const { code, message, detail } = toPatchbayError(thrown);
  return {
    code,
    message: clip(message),
    file: clip(detail.file ?? ""),
    line: detail.line ?? 0,
    field: clip(detail.field ?? ""),
  };
}

/** The error that a message stands for. */
export function fromFailure({ code, message, file, line, field }: Failure): PatchbayError {
  const detail = {
    ...(file === "" ? {} : { file }),
    ...(line === 0 ? {} : { line }),
    ...(field === "" ? {} : { field }),
  };
  return new PatchbayError(code, message, { detail });
}

/** What a call handler hands to gRPC: the status of the error's code, and the whole error in a trailer. */
export function toServiceError(thrown: unknown): Partial<ServiceError> & { code: status; details: string } {
  const failure = toFailure(thrown);
  const others = shortened(toPatchbayError(thrown).others);
  const metadata = new Metadata();
  metadata.set(TRAILER, Buffer.from(JSON.stringify({ ...failure, message: failure.message.slice(0, 2000), others })));
  return { code: STATUS[failure.code], details: failure.message.slice(0, 2000), metadata };
}

/** As many further faults as a trailer holds, which is a header of HTTP. */
function shortened(others: readonly PatchbayError[]): Failure[] {
  let length = 0;
  const fits = ({ message }: PatchbayError): boolean => (length += message.length + FIELDS_LENGTH) <= MAX_OTHERS_LENGTH;
  const fitting = others.filter(fits).map(toFailure);
  const left = others.length - fitting.length;
  const more: Failure = { code: "bad_input", message: `and ${String(left)} more faults`, file: "", line: 0, field: "" };
  return left === 0 ? fitting : [...fitting, more];
}

/**
 * The error that a failed call stands for. Without our trailer the coordinator could not be reached, or went away: a server that
 * shuts down cancels its calls.
 */
export function fromServiceError(thrown: unknown): PatchbayError {
  if (!(thrown instanceof Error)) return toPatchbayError(thrown);
  const failure = readTrailer(thrown);
  if (failure !== null) return withOthers(fromFailure(failure), failure.others.map(fromFailure));
  return new PatchbayError("coordinator_unreachable", `coordinator: ${thrown.message}`, { cause: thrown });
}

function withOthers(error: PatchbayError, others: readonly PatchbayError[]): PatchbayError {
  return others.length === 0 ? error : allOf([error, ...others]);
}

function readTrailer({ metadata }: Partial<ServiceError>): z.infer<typeof trailerSchema> | null {
  const [value] = metadata?.get(TRAILER) ?? [];
  if (!Buffer.isBuffer(value)) return null;
  try {
    return trailerSchema.parse(JSON.parse(value.toString("utf8")));
  } catch {
    return null;
  }
}
