/** @file `patchbay fetch` as a process: killed in the middle, on a full disk, two at once; and what it prints. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { repoPaths } from "../../src/hub/cache-paths.js";
import { FakeHub, refuse, sha256 } from "../unit/hub/fake-hub.js";
import { type Running, start, until } from "./command.js";

const REPO = "acme/tiny-gemma";
const WEIGHTS = randomBytes(3_000_000);

let hub: FakeHub;
let home: string;

beforeEach(async () => {
  hub = await FakeHub.start(REPO);
  home = mkdtempSync(join(tmpdir(), "patchbay-fetch-"));
  onTestFinished(async () => {
    await hub.close();
    rmSync(home, { recursive: true, force: true });
  });
  hub.add("config.json", "{}").add("tokenizer.json", "{}").add("model.safetensors", WEIGHTS, true);
});

/** The cache as HF_HOME places it. */
const cache = (): string => join(home, "hub");
const blob = (): string => repoPaths(cache(), REPO).blob(sha256(WEIGHTS));
const partial = (): string => repoPaths(cache(), REPO).partial(sha256(WEIGHTS));

function fetch(...flags: string[]): Running {
  const env = { ...process.env, HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_TOKEN: "", HF_HUB_CACHE: undefined };
  return start(["fetch", REPO, ...flags], env);
}

describe("a fetch", () => {
  it("prints the folder for a sweep, and with --json as an object", async () => {
    const folder = join(cache(), "models--acme--tiny-gemma", "snapshots", hub.commit);
    const text = await fetch().ended;
    expect(text.stderr).toContain("100 %");
    expect(text).toMatchObject({
      code: 0,
      stdout: `${REPO} at ${hub.commit.slice(0, 12)}\nmodel: { path: ${folder} }\n`,
    });
    const { code, stdout } = await fetch("--json").ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ path: folder, kind: "model", sources: [{ repo: REPO, commit: hub.commit }] });
  });

  it("that is refused ends with one line and 2", async () => {
    hub.fault = ({ path }, response) =>
      path.includes("/resolve/") ? refuse(response, 401, "GatedRepo", "restricted") : undefined;
    const { code, stderr, stdout } = await fetch("--json").ended;
    expect([code, stdout]).toEqual([2, ""]);
    const { error } = JSON.parse(stderr) as { error: { code: string; message: string } };
    expect(error.code).toBe("bad_input");
    expect(error.message).toContain("set HF_TOKEN");
  });

  it.each([
    [["--layers", "4-2"], "--layers: expected e.g. 0,4,12-15, got 4-2"],
    [["--sites", "resid"], "--sites: expected some of attn_z,mlp_out,resid_post, got resid"],
    [["--canonical", "--l0", "7"], "--l0: expected one of --canonical and --l0, got both"],
    [["--endpoint", "hub"], "--endpoint: expected an http(s) address, got hub"],
  ])("with %j is refused", async (flags, message) => {
    expect(await fetch(...flags).ended).toMatchObject({ code: 2, stdout: "", stderr: `patchbay: ${message}\n` });
    expect(hub.seen).toEqual([]);
  });
});

describe("a fetch that is killed in the middle", () => {
  /** The server sends the first part of the weights and then nothing, with the connection open. */
  const stall = (bytes: number): void => {
    hub.fault = ({ origin, range }, response) => {
      if (origin !== "store" || range !== null) return undefined;
      response.writeHead(200, { "content-length": String(WEIGHTS.length) });
      response.write(WEIGHTS.subarray(0, bytes));
      return "answered";
    };
  };
  const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

  it("leaves nothing that is taken for whole, and the next one asks for the rest only", async () => {
    stall(1_000_000);
    const { child, ended } = fetch();
    await until("a million bytes", () => (sizeOf(partial()) === 1_000_000 ? true : undefined));
    child.kill("SIGKILL");
    expect((await ended).signal).toBe("SIGKILL");
    expect(existsSync(blob())).toBe(false);
    expect(existsSync(join(repoPaths(cache(), REPO).snapshot(hub.commit), "model.safetensors"))).toBe(false);
    expect(existsSync(repoPaths(cache(), REPO).lock(sha256(WEIGHTS)))).toBe(true);
    hub.seen.length = 0;
    expect((await fetch().ended).code).toBe(0);
    expect(hub.downloads("model.safetensors").map(({ range }) => range)).toEqual(["bytes=1000000-"]);
    expect(sha256(readFileSync(blob()))).toBe(sha256(WEIGHTS));
    expect(existsSync(partial())).toBe(false);
    expect(existsSync(repoPaths(cache(), REPO).lock(sha256(WEIGHTS)))).toBe(false);
  });

  it("hands over to one that was waiting for it", async () => {
    stall(1_000_000);
    const first = fetch();
    await until("a million bytes", () => (sizeOf(partial()) === 1_000_000 ? true : undefined));
    const second = fetch();
    await until("the second one's words", () => (second.words().includes("waiting for process") ? true : undefined));
    expect(hub.downloads("model.safetensors")).toHaveLength(1);
    first.child.kill("SIGKILL");
    expect((await second.ended).code).toBe(0);
    expect(hub.downloads("model.safetensors").map(({ range }) => range)).toEqual([null, "bytes=1000000-"]);
    expect(sha256(readFileSync(blob()))).toBe(sha256(WEIGHTS));
  });
});

describe("a disk that fills up", () => {
  /** A disk of 6 MB at `folder`; false where this user may not mount. */
  function mountSmallDisk(folder: string): boolean {
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=6m", "patchbay-test", folder]).status !== 0) return false;
    onTestFinished(() => {
      spawnSync("umount", [folder]);
    });
    return true;
  }

  /** Sends a part, fills the disk, sends the rest. Without a disk to fill, writes go to a device that answers as a full one does. */
  function fillMeanwhile(): { readonly makeRoom: () => void; readonly kept: number } {
    if (!mountSmallDisk(home)) {
      mkdirSync(dirname(partial()), { recursive: true });
      symlinkSync("/dev/full", partial());
      return {
        makeRoom: () => {
          rmSync(partial());
        },
        kept: 0,
      };
    }
    const filler = join(home, "filler");
    hub.fault = ({ origin, range }, response) => {
      if (origin !== "store" || range !== null) return undefined;
      response.writeHead(200, { "content-length": String(WEIGHTS.length) });
      response.write(WEIGHTS.subarray(0, 1_000_000));
      void until("a million bytes", () =>
        statSync(partial(), { throwIfNoEntry: false })?.size === 1_000_000 ? true : undefined,
      ).then(() => {
        writeFileSync(filler, Buffer.alloc(4_500_000));
        response.end(WEIGHTS.subarray(1_000_000));
      });
      return "answered";
    };
    return {
      makeRoom: () => {
        rmSync(filler);
      },
      kept: 1_000_000,
    };
  }

  it("is named with what to do, nothing is taken for whole, and the next fetch continues", async () => {
    const { makeRoom, kept } = fillMeanwhile();
    const { code, stderr } = await fetch("--json").ended;
    expect(code).toBe(1);
    const { error } = JSON.parse(stderr.trimEnd().split("\n").at(-1) ?? "") as {
      error: { code: string; message: string };
    };
    expect(error.code).toBe("disk_full");
    expect(error.message).toContain(`the disk of ${cache()} is full: model.safetensors needs 3 MB; make room`);
    expect(existsSync(blob())).toBe(false);
    makeRoom();
    hub.seen.length = 0;
    expect((await fetch("--json").ended).code).toBe(0);
    const [asked] = hub.downloads("model.safetensors");
    expect(Number(/\d+/.exec(asked?.range ?? "0")?.[0])).toBeGreaterThanOrEqual(kept);
    expect(sha256(readFileSync(blob()))).toBe(sha256(WEIGHTS));
  });
});
