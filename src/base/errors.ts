/** @file The one error family. Only `code`, `message` and `detail` cross a process boundary. */

/** Every code an error may carry, and whether another attempt may succeed. */
const RETRYABLE = {
  /** A file, field, flag or environment variable that the user wrote is wrong. Nothing was started. */
  bad_input: false,
  /** An option of the public contract that this version does not implement. */
  not_built: false,
  /** The output folder belongs to another plan. */
  different_plan: false,
  /** Same plan, but another code version, backend, device class or thread count. */
  different_environment: false,
  port_in_use: false,
  nats_unreachable: false,
  /** The hub that weights come from cannot be reached, is overloaded, or sends damaged files. */
  hub_unreachable: true,
  disk_full: false,
  /** The coordinator cannot be reached, or closed the stream. */
  coordinator_unreachable: true,
  /** A weight, activation or result is NaN or infinite. */
  non_finite: true,
  out_of_memory: true,
  /** The engine process ended without a result. */
  engine_died: true,
  /** The engine process died or hung while it loaded the run's inputs, before it had any shard. */
  engine_start_failed: true,
  /** The engine process stopped making progress and was killed. */
  engine_stalled: true,
  /** The worker's stream ended or its heartbeats stopped. */
  worker_lost: true,
  /** Any other exception inside an engine program. */
  application: true,
  /** A stored record does not match its hash or its schema. */
  corrupt_record: false,
  /** An artifact on disk does not match the hash that was taken when it was written. */
  damaged_artifact: true,
  /** Two attempts at one shard gave different bytes. */
  nondeterminism: false,
  /** A message decoded but is not valid. */
  bad_message: false,
  cancelled: false,
} as const;

/** Most faults of one round that are named. */
const MAX_FAULTS = 20;

/** The closed set of error codes. */
export type ErrorCode = keyof typeof RETRYABLE;

/** All error codes, for schemas. */
export const ERROR_CODES = Object.keys(RETRYABLE) as [ErrorCode, ...ErrorCode[]];

/** Where an error was found: kept apart from the message so that `--json` can print it. */
export interface ErrorDetail {
  /** File that holds the fault. */
  readonly file?: string;
  /** 1-based line. */
  readonly line?: number;
  /** Dotted path of the field, flag or tensor. */
  readonly field?: string;
}

/** An error with a code that survives process boundaries. Messages say: subject, expected, got, what to do. */
export class PatchbayError extends Error {
  override readonly name = "PatchbayError";
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;
  /** Further faults that were found in the same round, each to be mended too. */
  readonly others: readonly PatchbayError[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; detail?: ErrorDetail; others?: readonly PatchbayError[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options.detail ?? {};
    this.others = options.others ?? [];
  }

  /** Whether another attempt, perhaps on another worker, may succeed. */
  get retryable(): boolean {
    return RETRYABLE[this.code];
  }
}

/** Turns whatever was thrown into a {@link PatchbayError}; anything foreign becomes `application`. */
export function toPatchbayError(thrown: unknown): PatchbayError {
  if (thrown instanceof PatchbayError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new PatchbayError("application", message, { cause: thrown });
}

/** A fault in something the user wrote, located. The location is put in front of the message. */
export function badInput(message: string, detail: ErrorDetail = {}, cause?: unknown): PatchbayError {
  return new PatchbayError("bad_input", `${locate(detail)}${message}`, { detail, cause });
}

/** The first of several faults, with the others behind it. Equal ones are one. */
export function allOf(faults: readonly [PatchbayError, ...PatchbayError[]]): PatchbayError {
  const flat = faults.flatMap((fault) => [alone(fault), ...fault.others]);
  const [, ...others] = new Map(flat.map((fault) => [fault.message, fault])).values();
  const [{ code, message, detail, cause }] = faults;
  return new PatchbayError(code, message, { detail, others, ...(cause === undefined ? {} : { cause }) });
}

function alone({ code, message, detail, cause }: PatchbayError): PatchbayError {
  return new PatchbayError(code, message, { detail, ...(cause === undefined ? {} : { cause }) });
}

/** The faults of a round that are named: of very many the first, and how many more there are. */
export function namedFaults(error: PatchbayError): PatchbayError[] {
  const all = [error, ...error.others];
  const more = all.length - MAX_FAULTS;
  if (more <= 0) return all;
  return [...all.slice(0, MAX_FAULTS), new PatchbayError("bad_input", `and ${String(more)} more such faults`)];
}

function locate({ file, line, field }: ErrorDetail): string {
  const place = [file === undefined ? "" : line === undefined ? file : `${file}:${line}`, field ?? ""];
  const text = place.filter((part) => part !== "").join(": ");
  return text === "" ? "" : `${text}: `;
}
