/** @file Text and JSON files at the edge: every fault becomes a bad-input error that names the file and the field. */
import { readFileSync } from "node:fs";
import type { z } from "zod";
import { allOf, badInput, type ErrorDetail, type PatchbayError } from "./errors.js";

/**
 * Reads a UTF-8 file, without its byte order mark.
 * @throws PatchbayError `bad_input` when it cannot be read, is not UTF-8, or is longer than a string can be (half a gigabyte).
 */
export function readTextFile(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
  try {
    return decode(bytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_STRING_TOO_LONG")
      throw badInput("expected text of at most 512 MiB, got more: split the file", { file: path }, error);
    throw badInput("expected UTF-8 text, got other bytes", { file: path, line: firstOtherLine(bytes) }, error);
  }
}

const decode = (bytes: Uint8Array): string => new TextDecoder("utf-8", { fatal: true }).decode(bytes);

/** The first line that is not UTF-8, from 1: no character holds a line feed's byte, so lines can be decoded one by one. */
function firstOtherLine(bytes: Buffer): number {
  for (let line = 1, start = 0; ; line++) {
    const end = bytes.indexOf("\n", start);
    try {
      decode(bytes.subarray(start, end < 0 ? bytes.length : end));
    } catch {
      return line;
    }
    if (end < 0) return line;
    start = end + 1;
  }
}

/**
 * Reads a JSON file and checks it against `schema`.
 * @throws PatchbayError `bad_input` when it is missing, not JSON, or not what the schema says.
 */
export function readJsonFile<T>(path: string, schema: z.ZodType<T>): T {
  return parseJson(readTextFile(path), schema, { file: path });
}

/**
 * Parses JSON text and checks it against `schema`; `where` locates the text in errors.
 * @throws PatchbayError `bad_input`.
 */
export function parseJson<T>(text: string, schema: z.ZodType<T>, where: ErrorDetail): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badInput(`not valid JSON: ${(error as Error).message}`, where, error);
  }
  return checked(value, schema, where);
}

/** The value as `schema` reads it. @throws PatchbayError `bad_input` at the first field that it refuses. */
export function checked<T>(value: unknown, schema: z.ZodType<T>, where: ErrorDetail): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalid(parsed.error, where);
  return parsed.data;
}

/** The faults that zod found, as bad-input errors at their fields. */
export function invalid({ issues: [first, ...rest] }: z.ZodError, where: ErrorDetail): PatchbayError {
  return allOf([faultOf(first, where), ...rest.map((issue) => faultOf(issue, where))]);
}

function faultOf(issue: z.ZodError["issues"][number] | undefined, where: ErrorDetail): PatchbayError {
  const field = [where.field ?? "", ...(issue?.path ?? []).map(String)].filter((part) => part !== "").join(".");
  const message = (issue?.message ?? "not valid")
    .replace(/^Invalid input: /, "")
    .replace(/received undefined$/, "got nothing: the field is missing")
    .replace(/received /, "got ");
  return badInput(message, field === "" ? where : { ...where, field });
}

/** What the operating system said about a file, as a bad-input error. */
export function unreadable(path: string, error: unknown): PatchbayError {
  const code = (error as NodeJS.ErrnoException).code;
  const reason =
    code === "ENOENT" || code === "ENOTDIR"
      ? "no such file or folder"
      : code === "EISDIR"
        ? "expected a file, got a folder"
        : (error as Error).message;
  return badInput(reason, { file: path }, error);
}
