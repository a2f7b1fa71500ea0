/** @file Text and JSON files at the edge: every fault becomes a bad-input error that names the file and the field. */
import { readFileSync } from "node:fs";
import type { z } from "zod";
import { badInput, type ErrorDetail, type PatchbayError } from "./errors.js";

/**
 * Reads a UTF-8 file, without its byte order mark.
 * @throws PatchbayError `bad_input` when it cannot be read or is not UTF-8.
 */
export function readTextFile(path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    throw unreadable(path, error);
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
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalid(parsed.error, where);
  return parsed.data;
}

/** The first fault that zod found, as a bad-input error at its field. */
export function invalid(error: z.ZodError, where: ErrorDetail): PatchbayError {
  const [issue] = error.issues;
  const field = [where.field ?? "", ...(issue?.path ?? []).map(String)].filter((part) => part !== "").join(".");
  const message = (issue?.message ?? "not valid")
    .replace(/^Invalid input: /, "")
    .replace(/received undefined$/, "got nothing: the field is missing")
    .replace(/received /, "got ");
  return badInput(message, field === "" ? where : { ...where, field });
}

/** What the operating system or the decoder said about a file, as a bad-input error. */
export function unreadable(path: string, error: unknown): PatchbayError {
  const code = (error as NodeJS.ErrnoException).code;
  const reason =
    code === "ENOENT" || code === "ENOTDIR"
      ? "no such file or folder"
      : code === "EISDIR"
        ? "expected a file, got a folder"
        : code === "ERR_ENCODING_INVALID_ENCODED_DATA"
          ? "expected UTF-8 text, got other bytes"
          : (error as Error).message;
  return badInput(reason, { file: path }, error);
}
