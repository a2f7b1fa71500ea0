/** @file Short commands load little: reports, tensors and tables are read from disk only by the commands that use them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { start } from "./command.js";

/** A port that nothing listens on: the command ends once it has loaded what it needs. */
const NOBODY = ["--coordinator", "127.0.0.1:1"];
/** The wire: gRPC, its messages, and their checks. */
const WIRE = ["@grpc/grpc-js", "@js-sdsl/ordered-map", "commander", "long", "protobufjs", "zod"];

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-loaded-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** The packages whose modules a command ran, by V8's own account of them. */
async function packagesOf(args: readonly string[]): Promise<string[]> {
  await start(args, { ...process.env, NODE_V8_COVERAGE: folder }).ended;
  const profiles = readdirSync(folder).filter((name) => name.startsWith("coverage"));
  const urls = profiles.flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(folder, name), "utf8")) as { result: { url: string }[] };
    return result.map(({ url }) => url);
  });
  expect(urls.some((url) => url.endsWith("/dist/cli/main.js"))).toBe(true);
  const names = urls.map((url) => /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]);
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}

describe("what a command loads", () => {
  test.each([["--version"], ["--help"], ["run --help"], ["help status"]])(
    "%s: the parser of arguments",
    async (args) => {
      expect(await packagesOf(args.split(" "))).toEqual(["commander"]);
    },
  );

  test.each([["status"], ["watch some-run"], ["cancel some-run"], ["submit data/demo.yaml"]])(
    "%s: the wire too",
    async (args) => {
      expect(await packagesOf([...args.split(" "), ...NOBODY])).toEqual(WIRE);
    },
  );

  test("schema: the schema and the experiments' fields too", async () => {
    expect(await packagesOf(["schema"])).toEqual(["commander", "pure-rand", "zod"]);
  });

  test("tables: no tensors and no figures", async () => {
    const packages = await packagesOf(["tables", join(folder, "absent")]);
    expect(packages).toContain("hyparquet");
    expect(packages.filter((name) => /^@tensorflow\/|plot|linkedom/.test(name))).toEqual([]);
  });

  test("report of a folder that is no run: what tells", async () => {
    expect(await packagesOf(["report", folder])).toEqual(["commander", "zod"]);
  });

  test("report: no tensors", async () => {
    writeFileSync(join(folder, "run.json"), "{}");
    const packages = await packagesOf(["report", folder]);
    expect(packages).toEqual(expect.arrayContaining(["@observablehq/plot", "hyparquet", "linkedom"]));
    expect(packages.filter((name) => name.startsWith("@tensorflow/"))).toEqual([]);
  });
});
