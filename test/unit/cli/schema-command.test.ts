/** @file The JSON Schema of a sweep: every field is described, and our own sweeps name it for editors. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { FIELD_DESCRIPTIONS } from "../../../src/cli/field-descriptions.js";
import { eachField, sweepJsonSchema } from "../../../src/cli/schema-command.js";
import { REGISTER } from "../../../src/experiments/registry.js";

const schema = sweepJsonSchema(REGISTER.experiments);

function fields(): Map<string, string | undefined> {
  const found = new Map<string, string | undefined>();
  eachField(schema, [], (path, { description }) => found.set(path, description));
  return found;
}

test("every field of a sweep is described, and nothing else is", () => {
  const described = fields();
  expect([...described].filter(([, text]) => text === undefined)).toEqual([]);
  expect(Object.keys(FIELD_DESCRIPTIONS).filter((path) => !described.has(path))).toEqual([]);
});

test("data/sweep.schema.json is what `patchbay schema` prints", () => {
  expect(readFileSync("data/sweep.schema.json", "utf8")).toBe(`${JSON.stringify(schema, null, 1)}\n`);
});

test("every sweep of data/ names the schema on its first line, where editors look", () => {
  const sweeps = readdirSync("data").filter((name) => name.endsWith(".yaml"));
  expect(sweeps.length).toBeGreaterThan(3);
  for (const name of sweeps)
    expect(readFileSync(`data/${name}`, "utf8").split("\n", 1)[0], name).toBe(
      "# yaml-language-server: $schema=sweep.schema.json",
    );
});
