/** @file Says what is wrong with a sweep in its own words: which field, what was expected, what stands there, what was meant. */
import { z } from "zod";

type Issue = z.ZodError["issues"][number];

/** A fault and the field it is about. */
export interface SweepFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Longest piece of the user's text that a message repeats. */
const MAX_SHOWN = 60;
/** A name that differs in more letters was not meant. */
const MAX_TYPOS = 2;

/** The faults of a sweep. `raw` is what was checked against the schema. */
export function sweepFaults(error: z.ZodError, raw: unknown, schema: z.ZodType): SweepFault[] {
  return error.issues.flatMap((issue) => faultsOf(deepest([issue]), raw, schema));
}

function faultsOf(issue: Issue, raw: unknown, schema: z.ZodType): SweepFault[] {
  const path = issue.path.filter((part) => typeof part !== "symbol");
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownField(key, schema) }));
  if (issue.code === "invalid_key")
    return [{ path, message: `${issue.issues[0]?.message ?? issue.message}, got ${shown(path.at(-1))}` }];
  const given = valueAt(raw, path);
  return [{ path, message: `${issue.message}, got ${shown(given)}${axisNote(given)}` }];
}

/** What a `$` stands for, where a field takes none. */
function axisNote(given: unknown): string {
  const [axis] = (typeof given === "string" ? /\$[A-Za-z]\w*/.exec(given) : null) ?? [];
  return axis === undefined ? "" : ` (${axis} would be an axis, and only \`experiments\` have a \`grid\`)`;
}

/** Of a union's failed branches, the one that got furthest, with the fewest faults, says best what is wrong. */
function deepest(issues: readonly Issue[]): Issue {
  const [issue] = issues;
  if (issue === undefined) throw new Error("bug: a failed parse has no issue");
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return { ...issue, message: expectation(issue) };
  const failed = issue.errors.filter((branch) => branch.length > 0).sort((a, b) => faultCount(a) - faultCount(b));
  const branches = failed.map((branch) => deepest(branch));
  const furthest = branches.reduce((a, b) => (b.path.length > a.path.length ? b : a));
  if (furthest.path.length === 0 && furthest.code !== "unrecognized_keys") {
    return { ...issue, message: [...new Set(branches.map(({ message }) => message))].join(", or ") };
  }
  return { ...furthest, path: [...issue.path, ...furthest.path] };
}

/** Unknown fields of one place are one issue, and a fault each. */
function faultCount(issues: readonly Issue[]): number {
  return issues.reduce((sum, issue) => sum + (issue.code === "unrecognized_keys" ? issue.keys.length : 1), 0);
}

/** zod's message without its opening and without what was received, which `shown` says. */
function expectation({ message }: Issue): string {
  return message
    .replace(/^(Invalid input|Invalid option|Too small|Too big): /, "")
    .replace(/^Invalid discriminator value\. Expected/, "expected")
    .replace(/, received .*$/, "");
}

function unknownField(key: string, schema: z.ZodType): string {
  const known = fieldNames(schema);
  const meant = known.has(key) ? undefined : closest(key, known);
  if (meant !== undefined)
    return `unknown field; did you mean ${meant}? \`patchbay schema\` prints the fields that exist`;
  const what = known.has(key) ? "is not a field here" : "unknown field";
  return `${what}; \`patchbay schema\` prints the fields that exist`;
}

/** Names of all fields of a sweep, wherever they stand. */
function fieldNames(schema: z.ZodType): Set<string> {
  const names = new Set<string>();
  const collect = (part: unknown): void => {
    if (part === null || typeof part !== "object") return;
    const { properties } = part as { properties?: object };
    for (const name of Object.keys(properties ?? {})) names.add(name);
    for (const inner of Object.values(part)) collect(inner);
  };
  collect(z.toJSONSchema(schema, { io: "input" }));
  return names;
}

function closest(key: string, known: ReadonlySet<string>): string | undefined {
  const [best] = [...known]
    .map((name) => ({ name, typos: editDistance(key, name) }))
    .filter(({ name, typos }) => typos <= MAX_TYPOS && typos < name.length / 2)
    .sort((a, b) => a.typos - b.typos);
  return best?.name;
}

/** Fewest letters to insert, delete, replace, or swap with the next, that make `b` of `a`. */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(
          at(i - 1, j) + 1,
          at(i, j - 1) + 1,
          at(i - 1, j - 1) + same,
          swapped ? at(i - 2, j - 2) + 1 : Infinity,
        ),
      );
    }
  }
  return at(a.length, b.length);
}

function valueAt(raw: unknown, path: SweepFault["path"]): unknown {
  return path.reduce<unknown>(
    (value, part) =>
      value !== null && typeof value === "object" ? (value as Record<string | number, unknown>)[part] : undefined,
    raw,
  );
}

function shown(value: unknown): string {
  if (value === undefined) return "nothing: the field is missing";
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
}
