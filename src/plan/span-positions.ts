/** @file Names of spans in the place of positions: each stands for the number of its span, which the dataset's rows tell. */
import { badInput, PatchbayError } from "../base/errors.js";
import type { SweepSource } from "../sweep/read-sweep.js";
import type { Sweep } from "../sweep/sweep.js";

/** Fields that name positions. */
const FIELDS = ["at", "positions"];
/** Parts of a sweep that have such fields. */
const PARTS = ["truth", "sets", "experiments"];
/** What is no span's name: these texts, and an axis. */
const OTHERS = /^(?:all|global|\$.*)$/;

type Path = readonly (string | number)[];

/** Names of the spans that are the positions of a sweep's prompts, in order; undefined where tokens are. */
export function spansOf({ spans }: { readonly [field: string]: unknown }): readonly string[] | undefined {
  return spans as readonly string[] | undefined;
}

/**
 * The sweep with a position's number for each name of a span, and with the names; those of axes stay until points are made of them.
 * @throws PatchbayError `bad_input` naming file, line and field of a name that no span has.
 */
export function withSpans(source: SweepSource, spans: readonly string[] | undefined): SweepSource {
  const parts = PARTS.flatMap((part) => {
    const given = source.sweep[part];
    return given === undefined ? [] : [[part, entriesResolved(given, spans, [part], source.fault)] as const];
  });
  const sweep: Sweep = { ...source.sweep, ...Object.fromEntries(parts), ...(spans === undefined ? {} : { spans }) };
  return { ...source, sweep };
}

/** A part's own names are no fields. */
function entriesResolved(
  given: unknown,
  spans: readonly string[] | undefined,
  path: Path,
  fault: SweepSource["fault"],
): unknown {
  if (path[0] !== "sets") return resolved(given, spans, path, fault);
  const sets = Object.entries(given as Record<string, unknown>);
  return Object.fromEntries(sets.map(([name, set]) => [name, resolved(set, spans, [...path, name, ""], fault)]));
}

/** Numbers for names in what a configuration says once its axes are filled in. @throws PatchbayError `bad_input`. */
export function withPositions<Value>(value: Value, spans: readonly string[] | undefined): Value {
  return resolved(value, spans, [], (_path, message) => badInput(message)) as Value;
}

function resolved(
  value: unknown,
  spans: readonly string[] | undefined,
  path: Path,
  fault: (path: Path, message: string) => PatchbayError,
): unknown {
  if (typeof value === "string") {
    const field = path.findLast((part) => typeof part === "string");
    if (!FIELDS.includes(String(field)) || OTHERS.test(value)) return value;
    const position = spans?.indexOf(value) ?? -1;
    if (position < 0) throw fault(path, unknownSpan(value, spans));
    return position;
  }
  if (Array.isArray(value)) return value.map((one, i) => resolved(one, spans, [...path, i], fault));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([field, one]) => [field, resolved(one, spans, [...path, field], fault)]),
  );
}

function unknownSpan(name: string, spans: readonly string[] | undefined): string {
  return spans === undefined
    ? `expected a position, \`all\` or, where rows have \`spans\`, the name of one, got ${name}; the dataset's rows have none`
    : `no span is called ${name}; the dataset's rows have ${spans.join(", ")}`;
}
