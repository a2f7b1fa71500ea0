/** @file Reads a sweep file: YAML or JSON text to a checked sweep, every fault with its file, line and field. */
import { isNode, LineCounter, parseDocument, visit, type Document } from "yaml";
import { allOf, badInput, PatchbayError } from "../base/errors.js";
import { placeInFiles, type SweepText } from "./sweep-files.js";
import { sweepFaults } from "./sweep-fault.js";
import type { SweepPart } from "./sweep-part.js";
import { sweepSchema } from "./sweep-schema.js";
import type { Sweep } from "./sweep.js";

/** Longest sweep file that is read, in characters. */
const MAX_SWEEP_CHARACTERS = 1_000_000;

/** A checked sweep, and where in its file a field stands (for errors found later). */
export interface SweepSource {
  readonly sweep: Sweep;
  /** A fault of the field at `path`, with the file and line put in front. */
  readonly fault: (path: readonly (string | number)[], message: string) => PatchbayError;
  /** Whether the file itself has the field, and not its default. */
  readonly has: (path: readonly (string | number)[]) => boolean;
}

type Path = readonly (string | number)[];

/**
 * Parses and checks the text of a sweep file.
 * @param parts - the experiments that a sweep may ask for.
 * @throws PatchbayError `bad_input` with file, line and field, of every fault; `not_built` for an option of the contract that this version
 *   lacks.
 */
export function readSweep(parts: readonly SweepPart[], named: Omit<SweepText, "baseFolder">): SweepSource {
  const { text, file } = named;
  if (text.length > MAX_SWEEP_CHARACTERS) {
    throw badInput(
      `a sweep file has at most ${String(MAX_SWEEP_CHARACTERS)} characters, this has ${String(text.length)}`,
      { file },
    );
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const broken = document.errors[0];
  if (broken !== undefined) {
    const message =
      broken.code === "MULTIPLE_DOCS" ? "another document begins here; take the line `---` out" : broken.message;
    throw badInput(`not valid YAML: ${message}`, placeInFiles(named, lines.linePos(broken.pos[0]).line), broken);
  }
  const place = (path: Path): { file: string; line?: number; field?: string } => {
    const line = lineOf(document, lines, path);
    const at = line === undefined ? { file } : placeInFiles(named, line);
    return { ...at, ...(path.length === 0 ? {} : { field: fieldName(path) }) };
  };
  const fault = (path: Path, message: string): PatchbayError => badInput(message, place(path));

  const raw = withoutExtensions(valueOf(document, lines, named));
  const notBuilt = findNotBuilt(raw);
  const schema = sweepSchema(parts);
  const parsed = schema.safeParse(raw);
  // What is not built is no field of the schema, which says less of it.
  const unfit = (parsed.success ? [] : sweepFaults(parsed.error, raw, schema)).filter(
    ({ path }) => !notBuilt.some((option) => option.path.every((part, i) => part === path[i])),
  );
  const [first, ...rest] = [
    ...notBuilt.map(({ path, message }) => asNotBuilt(fault(path, message))),
    ...unfit.map(({ path, message }) => fault(path, message)),
  ];
  if (first !== undefined) throw allOf([first, ...rest]);
  if (!parsed.success) throw fault([], parsed.error.message);
  requireWork(parts, parsed.data, fault);
  return { sweep: parsed.data, fault, has: (path) => document.hasIn(path) };
}

/** Where a sweep that may have faults says that its datasets lie. */
export function datasetPathsIn(text: string): string[] {
  let raw: unknown;
  try {
    raw = parseDocument(text).toJS();
  } catch {
    return [];
  }
  const dataset = record(record(raw)["dataset"]);
  return [dataset, dataset["evaluate"], dataset["select"]].flatMap((rows) => {
    const { path } = record(rows);
    return typeof path === "string" && path !== "" ? [path] : [];
  });
}

function asNotBuilt({ message, detail }: PatchbayError): PatchbayError {
  return new PatchbayError("not_built", message, { detail });
}

/** The document's value. A name (`*name`) must stand for something, and few names may not stand for a lot. */
function valueOf(document: Document, lines: LineCounter, named: Pick<SweepText, "file" | "files">): unknown {
  try {
    return document.toJS();
  } catch (error) {
    let line: number | undefined;
    visit(document, {
      Alias: (_key, alias) => {
        if (alias.resolve(document) !== undefined || !alias.range) return undefined;
        line = lines.linePos(alias.range[0]).line;
        return visit.BREAK;
      },
    });
    const message = error instanceof Error ? error.message : String(error);
    const place = line === undefined ? { file: named.file } : placeInFiles(named, line);
    throw badInput(`not valid YAML: ${message}`, place, error);
  }
}

/** Topmost fields of these names are the file's own: they hold what anchors name. */
const EXTENSION = /^x-/;

function withoutExtensions(raw: unknown): unknown {
  if (raw === null || typeof raw !== "object" || Array.isArray(raw)) return raw;
  return Object.fromEntries(Object.entries(raw).filter(([name]) => !EXTENSION.test(name)));
}

function requireWork(parts: readonly SweepPart[], sweep: Sweep, fault: SweepSource["fault"]): void {
  const asked = parts.flatMap((part) => part.asked ?? []);
  if (asked.some((part) => part.isIn(sweep))) return;
  const fields = asked.map(({ field }) => `\`${field}\``).join(", ");
  throw fault([], `at least one of ${fields} is required: the sweep asks for nothing`);
}

function fieldName(path: Path): string {
  return path.map((part, i) => (typeof part === "number" ? `[${String(part)}]` : i === 0 ? part : `.${part}`)).join("");
}

/** Line of the field at `path`, or of the nearest parent that exists. */
function lineOf(document: Document, lines: LineCounter, path: Path): number | undefined {
  for (let depth = path.length; depth >= 0; depth--) {
    const node: unknown = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return undefined;
}

interface NotBuilt {
  readonly path: Path;
  readonly message: string;
}

/** Options of the public contract that this version refuses, each with a sentence that says so. */
function findNotBuilt(raw: unknown): NotBuilt[] {
  const sweep = record(raw);
  const experiments = Array.isArray(sweep["experiments"]) ? sweep["experiments"] : [];
  const presets = [...experiments.keys()].filter((i) => {
    const one: unknown = experiments[i];
    return typeof one === "string" || "preset" in record(one);
  });
  return presets.map((i) => ({
    path: ["experiments", i],
    message: "presets are not built yet; write the configuration out (name, ablate, restore)",
  }));
}

function record(value: unknown): Record<string, unknown> {
  return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : {};
}
