/** @file `patchbay schema`: the JSON Schema of a sweep file, so that editors complete, explain and check it. */
import { z } from "zod";
import { sweepSchema } from "../sweep/sweep-schema.js";
import type { SweepPart } from "../sweep/sweep-part.js";
import { FIELD_DESCRIPTIONS } from "./field-descriptions.js";

/** A part of a JSON Schema that may describe fields. */
interface SchemaNode {
  description?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly additionalProperties?: SchemaNode | boolean;
  /** Parts that name themselves: sets of nodes alone. */
  readonly $defs?: Readonly<Record<string, SchemaNode>>;
}

/** JSON Schema (draft 2020-12) of what a user may write. A description that an experiment gives its own field stands. */
export function sweepJsonSchema(parts: readonly SweepPart[]): object {
  const schema = z.toJSONSchema(sweepSchema(parts), { io: "input" });
  eachField(schema as SchemaNode, [], (path, field) => {
    const text = FIELD_DESCRIPTIONS[path];
    if (text !== undefined) field.description ??= text;
  });
  return { title: "Patchbay sweep", ...schema, patternProperties: { "^x-": {} } };
}

/** Visits every field below a part, with the names on the way to it. */
export function eachField(
  node: SchemaNode,
  path: readonly string[],
  visit: (path: string, field: SchemaNode) => void,
): void {
  for (const [name, field] of Object.entries(node.properties ?? {})) {
    visit([...path, name].join("."), field);
    eachField(field, [...path, name], visit);
  }
  const inner = [...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.items === undefined ? [] : [node.items])];
  for (const part of inner) eachField(part, path, visit);
  if (typeof node.additionalProperties === "object") eachField(node.additionalProperties, path, visit);
  for (const set of Object.values(node.$defs ?? {})) eachField(set, ["sets"], visit);
}
