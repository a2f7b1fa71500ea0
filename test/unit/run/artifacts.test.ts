import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { sha256 } from "../../../src/base/hash.js";
import { findDamage, readArtifactSums } from "../../../src/run/artifact-sums.js";
import { checkArtifact, hasArtifact, readArtifact, writeArtifact } from "../../../src/run/artifacts.js";
import type { Plan } from "../../../src/plan/plan.js";
import { runPaths } from "../../../src/run/run-folder.js";
import { REGISTER } from "../../../src/experiments/registry.js";

let folder: string;
const plan = { stages: [{ id: "means", task: { kind: "means" } }] } as unknown as Plan;
const means = Buffer.from("means of everything");

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-artifacts-"));
  mkdirSync(runPaths(folder).artifacts);
  writeArtifact(folder, "means.safetensors", means);
  writeArtifact(folder, "dropped.jsonl", Buffer.from("{}\n"));
  writeFileSync(runPaths(folder).report, "");
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const path = (name: string): string => runPaths(folder).artifact(name);

function flipBit(file: string): void {
  const bytes = readFileSync(file);
  bytes[5] = (bytes[5] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

it("the hash of each artifact is there as soon as the artifact is, in the form of sha256sum", async () => {
  const lines = [`${sha256("{}\n")}  artifacts/dropped.jsonl`, `${sha256(means)}  artifacts/means.safetensors`, ""];
  expect(readFileSync(runPaths(folder).sums, "utf8")).toBe(lines.join("\n"));
  expect(Buffer.from(await readArtifact(folder, "means.safetensors"))).toEqual(means);
  expect(findDamage(REGISTER.experiments, folder, plan)).toBeUndefined();
});

it.each<[string, () => void]>([
  ["with one bit flipped", () => { flipBit(path("means.safetensors")); }], // prettier-ignore
  ["that is gone", () => { rmSync(path("means.safetensors")); }], // prettier-ignore
  ["that is cut short", () => { writeFileSync(path("means.safetensors"), means.subarray(0, 4)); }], // prettier-ignore
  ["whose hash is damaged", () => { writeFileSync(runPaths(folder).sums, readFileSync(runPaths(folder).sums, "utf8").replace(sha256(means), sha256("other"))); }], // prettier-ignore
  ["whose hash is gone", () => { rmSync(runPaths(folder).sums); writeArtifact(folder, "dropped.jsonl", Buffer.from("{}\n")); }], // prettier-ignore
])("an artifact %s is never read, and whoever wants to is told which it is and what to do", async (_what, harm) => {
  harm();
  const refusal = {
    code: "damaged_artifact",
    message: expect.stringMatching(
      new RegExp(`^${path("means.safetensors")}: expected sha256 .*, got .*delete the file and run the same command`),
    ) as string,
  };
  expect(hasArtifact(folder, "means.safetensors")).toBe(true);
  await expect(readArtifact(folder, "means.safetensors")).rejects.toMatchObject(refusal);
  await expect(checkArtifact(folder, "means.safetensors")).rejects.toMatchObject(refusal);
  expect(findDamage(REGISTER.experiments, folder, plan)).toBe(path("means.safetensors"));
  writeArtifact(folder, "means.safetensors", means);
  expect(Buffer.from(await readArtifact(folder, "means.safetensors"))).toEqual(means);
  expect(findDamage(REGISTER.experiments, folder, plan)).toBeUndefined();
});

it("a line of hashes that is not one of ours says nothing, and the run is not complete with it", () => {
  writeFileSync(runPaths(folder).sums, `${readFileSync(runPaths(folder).sums, "utf8")}nonsense\n`);
  expect([...readArtifactSums(folder).keys()]).toEqual(["dropped.jsonl", "means.safetensors"]);
  expect(findDamage(REGISTER.experiments, folder, plan)).toBe(runPaths(folder).sums);
});
