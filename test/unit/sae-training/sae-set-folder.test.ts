/** @file The output folder of `patchbay train-saes`: another training is refused where there is something to lose. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { openSetFolder } from "../../../src/sae-training/sae-set-folder.js";
import { temporaryFolder } from "../weights/temporary-folder.js";

let folder = "";
beforeEach(() => {
  folder = join(temporaryFolder(), "set");
});

const environment = {
  code: "1",
  backend: "wasm",
  device: "cpu",
  threads: 1,
  dtype: "float32",
  tfjs: "core 4.22.0",
};
const open = (seed: number, code = "1") => openSetFolder(folder, { seed }, { ...environment, code });
const kept = () => JSON.parse(readFileSync(join(folder, "training.json"), "utf8")) as Record<string, unknown>;

function saveCheckpoint(): void {
  mkdirSync(join(folder, "checkpoint", "7"), { recursive: true });
  writeFileSync(join(folder, "checkpoint", "7", "state.json"), JSON.stringify({ fills: 7, curve: [], sites: {} }));
}

describe("the folder of a set of SAEs", () => {
  it("is given to other settings, or another environment, while nothing has been saved in it", () => {
    expect(open(0)).toBe("new");
    mkdirSync(join(folder, "checkpoint", "1.part"), { recursive: true });
    expect([open(1), open(1, "2")]).toEqual(["new", "new"]);
    expect(kept()).toEqual({ version: 1, training: { seed: 1 }, environment: { ...environment, code: "2" } });
  });

  it("is refused to them once there is a checkpoint, with what differs", () => {
    open(0);
    saveCheckpoint();
    expect(open(0)).toBe("continued");
    expect(() => open(1)).toThrow(/another training was begun here; they differ in seed: was 0, is 1\. Choose another/);
    expect(() => open(0, "2")).toThrow(/begun in another environment \(code: was "1", is "2"\)/);
    expect(kept()).toMatchObject({ training: { seed: 0 }, environment });
  });

  it("is refused where a release that did not record tfjs began it", () => {
    open(0);
    saveCheckpoint();
    const { tfjs: _tfjs, ...earlier } = environment;
    writeFileSync(join(folder, "training.json"), JSON.stringify({ ...kept(), environment: earlier }));
    expect(() => open(0)).toThrow(/\(tfjs: was "not recorded", is "core 4.22.0"\)/);
  });

  it("that is whole is complete in any environment, refused to other settings, and keeps no checkpoint", () => {
    open(0);
    saveCheckpoint();
    writeFileSync(join(folder, "card.json"), "{}");
    expect(() => open(1)).toThrow(/another training was begun here/);
    expect(open(0, "2")).toBe("complete");
    expect(readdirSync(folder).sort()).toEqual(["card.json", "process", "training.json"]);
  });

  it("is refused while another process trains in it, and taken over when that process is dead", () => {
    open(0);
    writeFileSync(join(folder, "process"), String(process.ppid));
    expect(() => open(0)).toThrow(new RegExp(`process ${String(process.ppid)} trains here; wait for it, stop it, or`));
    writeFileSync(join(folder, "process"), String(spawnSync(process.execPath, ["-e", ""]).pid));
    expect(open(0)).toBe("new");
    expect(readFileSync(join(folder, "process"), "utf8")).toBe(String(process.pid));
  });

  it("is refused where it holds other files", () => {
    mkdirSync(folder);
    writeFileSync(join(folder, "thesis.tex"), "");
    expect(() => open(0)).toThrow(/expected an empty folder or one of this command, got other files/);
  });
});
