/** @file What the processes of a run still hold when they end. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, expect, it } from "vitest";
import { z } from "zod";
import { isAlive, listedProcesses, start, until } from "./command.js";

const TINY_A = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));
const RECORDER = new URL("./record-end.js", import.meta.url).href;
const scratch = mkdtempSync(join(tmpdir(), "patchbay-handles-"));
let ends = "";

beforeEach(() => {
  ends = mkdtempSync(join(scratch, "ends-"));
});

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

const endSchema = z.object({
  args: z.array(z.string()),
  code: z.int(),
  /** Nothing was left that could have kept the process alive. */
  natural: z.boolean(),
  held: z.array(z.string()),
  files: z.array(z.string()),
});

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  NODE_OPTIONS: `--import ${RECORDER}`,
  PATCHBAY_TEST_ENDS: ends,
});

const recorded = (): z.infer<typeof endSchema>[] =>
  readdirSync(ends).map((name) => endSchema.parse(JSON.parse(readFileSync(join(ends, name), "utf8"))));

it("the recorder sees a timer that keeps a process alive, and a file that stays open", () => {
  const leaks = `setInterval(() => {}, 1000); setTimeout(() => process.exit(0), 10)`;
  execFileSync(process.execPath, ["-e", leaks], { env: environment() });
  execFileSync(process.execPath, ["-e", `require("fs").openSync(process.execPath)`], { env: environment() });
  const found = recorded();
  expect(found.map(({ natural }) => natural).sort()).toEqual([false, true]);
  expect(found.flatMap(({ files }) => files)).toEqual([process.execPath]);
});

it("after a run its command, coordinator and workers end because nothing is left to do, with no file open", async () => {
  const sweep = sweepFile();
  const out = join(scratch, "out");
  const run = start(["run", sweep, "--out", out, "--workers", "2", "--fresh"], environment());
  const engines = await until("both engines", () => {
    const listed = listedProcesses(out).filter(({ role }) => role === "engine");
    return listed.length === 2 ? listed : undefined;
  });
  expect(await run.ended).toMatchObject({ code: 0, stderr: "" });
  for (const { pid } of engines) expect(isAlive(pid)).toBe(false);
  // So small a run is not measured first.
  expectNothingLeft(["coordinator", "run", "worker", "worker"]);
});

it("after an estimate its command and the processes that measured end so too", async () => {
  const estimate = start(["run", sweepFile(), "--workers", "2", "--estimate"], environment());
  expect(await estimate.ended).toMatchObject({ code: 0, stderr: "" });
  expectNothingLeft(["calibrate", "calibrate", "run"]);
});

function sweepFile(): string {
  const sweep = join(scratch, "sweep.yaml");
  writeFileSync(
    sweep,
    `name: handles
model: { path: ${TINY_A}/model }
saes: { path: ${TINY_A}/saes }
dataset: { path: ${TINY_A}/data/pairs-mixed-lengths.jsonl }
truth: { positions: [global] }
circuits: { thresholds: [-3] }
`,
  );
  return sweep;
}

/** The processes that ended are these, and each ended with nothing open. */
function expectNothingLeft(commands: readonly string[]): void {
  const found = recorded();
  expect(found.map(({ args }) => args[1]).sort()).toEqual(commands);
  for (const end of found) {
    expect(end).toMatchObject({ code: 0, natural: true, files: [] });
    expect(end.held.filter((handle) => handle !== "PipeWrap")).toEqual([]); // Standard output and error are pipes here.
  }
}
