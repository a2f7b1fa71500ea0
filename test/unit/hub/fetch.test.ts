/** @file Fetching from a hub: what is asked, and what is believed, of a server that breaks off, damages and redirects. */
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { breakOff, FakeHub, gitOid, sha256 } from "./fake-hub.js";
import {
  cacheFolder,
  CONFIG,
  expectNoWeights,
  failure,
  fetchModel,
  hub,
  paths,
  REPO,
  said,
  waits,
  WEIGHTS,
} from "./one-repo.js";

const hashOf = (file: string): string => sha256(readFileSync(file));

describe("a fetch", () => {
  test("brings the files of a checkpoint and no others, in the layout of Python's cache", async () => {
    const { kind, path, snapshots } = await fetchModel();
    expect(kind).toBe("model");
    expect(path).toBe(join(cacheFolder, "models--acme--tiny-gemma", "snapshots", hub.commit));
    expect(readdirSync(path).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
    expect(hashOf(join(path, "model.safetensors"))).toBe(sha256(WEIGHTS));
    expect(readlinkSync(join(path, "model.safetensors"))).toBe(`../../blobs/${sha256(WEIGHTS)}`);
    expect(readlinkSync(join(path, "config.json"))).toBe(`../../blobs/${gitOid(Buffer.from(CONFIG))}`);
    expect(readFileSync(paths().ref("main"), "utf8")).toBe(hub.commit);
    expect(snapshots).toMatchObject([{ repo: REPO, revision: "main", commit: hub.commit }]);
    const left = readdirSync(cacheFolder, { recursive: true }).map(String);
    expect(left.filter((name) => /incomplete|\.lock$|\.tmp$/.test(name))).toEqual([]);
  });

  test("of what is there asks for nothing but the revision, and of a commit for nothing", async () => {
    const { path } = await fetchModel();
    hub.seen.length = 0;
    expect((await fetchModel()).path).toBe(path);
    expect(hub.seen.map(({ path }) => path)).toEqual([`/api/models/${REPO}/revision/main`]);
    hub.seen.length = 0;
    expect((await fetchModel({}, hub.commit)).path).toBe(path);
    expect(hub.seen).toEqual([]);
  });

  test("of a new commit downloads only what changed", async () => {
    await fetchModel();
    hub.commit = randomBytes(20).toString("hex");
    hub.add("tokenizer.json", '{"new":1}');
    hub.seen.length = 0;
    const { path } = await fetchModel();
    expect(readFileSync(join(path, "tokenizer.json"), "utf8")).toBe('{"new":1}');
    expect(hashOf(join(path, "model.safetensors"))).toBe(sha256(WEIGHTS));
    expect(hub.downloads("model.safetensors")).toEqual([]);
  });

  test("takes what huggingface_hub downloaded before", async () => {
    const blob = paths().blob(sha256(WEIGHTS));
    mkdirSync(dirname(blob), { recursive: true });
    writeFileSync(blob, WEIGHTS);
    await fetchModel();
    expect(hub.downloads("model.safetensors")).toEqual([]);
  });

  test("sends the token to the hub, and not to where it redirects", async () => {
    await fetchModel({ token: "hf_secret" });
    expect(new Set(hub.seen.filter(({ origin }) => origin === "hub").map(({ token }) => token))).toEqual(
      new Set(["Bearer hf_secret"]),
    );
    expect(hub.downloads("model.safetensors").map(({ origin, token }) => [origin, token])).toEqual([["store", null]]);
  });

  test("of two at once downloads once", async () => {
    const both = await Promise.all([fetchModel(), fetchModel()]);
    expect(both[0].path).toBe(both[1].path);
    expect(hub.downloads("model.safetensors")).toHaveLength(1);
  });

  test("takes the shards of a large checkpoint and its index", async () => {
    const other = await FakeHub.start(REPO);
    onTestFinished(() => other.close());
    other
      .add("config.json", CONFIG)
      .add("tokenizer.json", "{}")
      .add("tokenizer_config.json", "{}")
      .add("model.safetensors.index.json", "{}");
    other
      .add("model-00001-of-00002.safetensors", "a", true)
      .add("model-00002-of-00002.safetensors", "b", true)
      .add("pytorch_model.bin", "c", true);
    const { path } = await fetchModel({ endpoint: other.endpoint });
    expect(readdirSync(path).sort()).toEqual([
      "config.json",
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
  });

  test("needs neither the hub nor a network for what it has", async () => {
    const { path } = await fetchModel();
    hub.seen.length = 0;
    expect((await fetchModel({ offline: true })).path).toBe(path);
    expect(hub.seen).toEqual([]);
    await hub.close();
    expect((await fetchModel()).path).toBe(path);
    expect(said.at(-1)).toContain(`taking main of ${REPO} as it was last seen (${hub.commit.slice(0, 12)})`);
  });
});

describe("a download that breaks off", () => {
  test("is continued where it stopped", async () => {
    hub.fault = ({ origin, range }, response) =>
      origin === "store" && range === null ? breakOff(response, WEIGHTS, 100_000) : undefined;
    const { path } = await fetchModel();
    expect(hashOf(join(path, "model.safetensors"))).toBe(sha256(WEIGHTS));
    const [first, second, ...more] = hub.downloads("model.safetensors").map(({ range }) => range);
    expect([first, more]).toEqual([null, []]);
    const from = Number(/^bytes=(\d+)-$/.exec(second ?? "")?.[1]);
    expect(from).toBeGreaterThan(0);
    expect(from).toBeLessThanOrEqual(100_000);
  });

  test("again and again ends, keeps what came, and the next fetch continues it", async () => {
    let sent = 0;
    hub.fault = ({ origin, range }, response) => {
      if (origin !== "store") return undefined;
      const from = Number(/\d+/.exec(range ?? "0")?.[0]);
      sent++;
      return breakOff(response, WEIGHTS, from + 1000, from);
    };
    const error = await failure(fetchModel());
    expect(error.code).toBe("hub_unreachable");
    expect(error.message).toMatch(
      /model\.safetensors: cut short: expected 300000 bytes, got \d+; the same command continues it/,
    );
    expect(sent).toBe(5);
    expect(waits).toEqual([1000, 2000, 4000, 8000]);
    expectNoWeights();
    const kept = readFileSync(paths().partial(sha256(WEIGHTS))).length;
    hub.fault = () => undefined;
    hub.seen.length = 0;
    await fetchModel();
    expect(hub.downloads("model.safetensors").map(({ range }) => range)).toEqual([`bytes=${String(kept)}-`]);
    expect(realpathSync(join(paths().snapshot(hub.commit), "model.safetensors"))).toBe(
      realpathSync(paths().blob(sha256(WEIGHTS))),
    );
  });

  test("begins again where the server cannot continue", async () => {
    hub.fault = ({ origin, range }, response) => {
      if (origin !== "store") return undefined;
      const times = hub.downloads("model.safetensors").length;
      if (times === 1) return breakOff(response, WEIGHTS, 50_000);
      if (range === null) return undefined;
      response.writeHead(200, { "content-length": String(WEIGHTS.length) });
      response.end(WEIGHTS);
      return "answered";
    };
    const { path } = await fetchModel();
    expect(hashOf(join(path, "model.safetensors"))).toBe(sha256(WEIGHTS));
    expect(said.join("\n")).toContain("cannot continue a download; it begins again");
  });
});

describe("a file with other bytes than the repository lists", () => {
  const damaged = Buffer.from(WEIGHTS.map((byte, at) => (at === 1234 ? byte ^ 1 : byte)));

  test("is fetched a second time from its beginning", async () => {
    hub.fault = ({ origin }, response) => {
      if (origin !== "store" || hub.downloads("model.safetensors").length > 1) return undefined;
      response.end(damaged);
      return "answered";
    };
    const { path } = await fetchModel();
    expect(hashOf(join(path, "model.safetensors"))).toBe(sha256(WEIGHTS));
    expect(hub.downloads("model.safetensors").map(({ range }) => range)).toEqual([null, null]);
  });

  test.each([
    ["the weights", "model.safetensors", damaged],
    ["a small file", "config.json", Buffer.from(CONFIG.replace("2", "3"))],
  ])("twice is refused: %s", async (_what, name, bytes) => {
    hub.fault = ({ path }, response) => {
      if (!path.endsWith(`/${name}`) || (name === "model.safetensors" && path.includes("resolve"))) return undefined;
      response.end(bytes);
      return "answered";
    };
    const error = await failure(fetchModel());
    expect(error.code).toBe("hub_unreachable");
    expect(error.message).toMatch(
      new RegExp(`${name}: damaged on its way: expected the hash [0-9a-f]+, got [0-9a-f]+`),
    );
    expectNoWeights();
    expect(existsSync(join(paths().snapshot(hub.commit), name))).toBe(false);
  });

  test("and more of them is refused", async () => {
    hub.fault = ({ origin }, response) => {
      if (origin !== "store") return undefined;
      response.end(Buffer.concat([WEIGHTS, Buffer.from("more")]));
      return "answered";
    };
    expect((await failure(fetchModel())).message).toContain("expected 300000 bytes, got more");
    expectNoWeights();
  });
});

describe("a disk without room", () => {
  test("is told from the sizes in the list, before anything is downloaded", async () => {
    hub.add("model.safetensors", WEIGHTS, true, 1e15);
    const error = await failure(fetchModel());
    expect(error.code).toBe("disk_full");
    expect(error.message).toContain(
      `the disk of ${cacheFolder} is full: ${REPO} needs 1000000001 MB; make room, or name another disk in HF_HOME`,
    );
    expect(hub.seen.filter(({ path }) => path.includes("/resolve/"))).toEqual([]);
  });

  test("is told when it fills up, and the fetch works when there is room again", async () => {
    // The kernel answers every write to this device as a full disk does.
    const partial = paths().partial(sha256(WEIGHTS));
    mkdirSync(dirname(partial), { recursive: true });
    symlinkSync("/dev/full", partial);
    const error = await failure(fetchModel());
    expect(error.code).toBe("disk_full");
    expect(error.cause).toMatchObject({ code: "ENOSPC" });
    expect(error.message).toContain("is full: model.safetensors needs 1 MB");
    expect(waits).toEqual([]);
    expectNoWeights();
    rmSync(partial);
    await fetchModel();
    expect(hashOf(paths().blob(sha256(WEIGHTS)))).toBe(sha256(WEIGHTS));
  });
});
