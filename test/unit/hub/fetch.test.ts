/** @file Fetching from a hub: what is asked, what is believed, what is said, against a server that misbehaves on request. */
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
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { fetchByName, type FetchedWeights } from "../../../src/hub/fetch-weights.js";
import { type HubConnection, openHub } from "../../../src/hub/hub-connection.js";
import { repoPaths } from "../../../src/hub/cache-paths.js";
import { temporaryFolder } from "../weights/temporary-folder.js";
import { breakOff, FakeHub, gitOid, refuse, sha256 } from "./fake-hub.js";

const REPO = "acme/tiny-gemma";
const WEIGHTS = randomBytes(300_000);
const CONFIG = '{"model_type":"gemma2"}';

let hub: FakeHub;
let cacheFolder: string;
let waits: number[];
let said: string[];

beforeEach(async () => {
  hub = await FakeHub.start(REPO);
  onTestFinished(() => hub.close());
  cacheFolder = join(temporaryFolder(), "hub");
  [waits, said] = [[], []];
  hub
    .add("config.json", CONFIG)
    .add("tokenizer.json", "{}")
    .add("model.safetensors", WEIGHTS, true)
    .add("README.md", "x");
});

/** A connection that waits for nothing. */
function connection(changes: Partial<HubConnection["settings"]> = {}): HubConnection {
  const settings = { endpoint: hub.endpoint, cacheFolder, token: null, offline: false, ...changes };
  const wait = (ms: number): Promise<void> => Promise.resolve(void waits.push(ms));
  return { ...openHub(settings, (text) => said.push(text)), wait };
}

const fetchModel = (changes: Partial<HubConnection["settings"]> = {}, revision = "main"): Promise<FetchedWeights> =>
  fetchByName(connection(changes), REPO, revision, {});

async function failure(attempt: Promise<unknown>): Promise<PatchbayError> {
  const thrown: unknown = await attempt.then(
    () => null,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(PatchbayError);
  return thrown as PatchbayError;
}

const hashOf = (file: string): string => sha256(readFileSync(file));

const paths = (): ReturnType<typeof repoPaths> => repoPaths(cacheFolder, REPO);

/** Nothing of the weights has the name that means "whole". */
function expectNoWeights(): void {
  expect(existsSync(paths().blob(sha256(WEIGHTS)))).toBe(false);
  expect(existsSync(join(paths().snapshot(hub.commit), "model.safetensors"))).toBe(false);
}

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

describe("a hub that is busy", () => {
  test.each([
    ["Retry-After in seconds", 429, { "retry-after": "7" }, 7000],
    ["RateLimit", 429, { ratelimit: '"api";r=0;t=12' }, 12_000],
    ["nothing about a pause", 503, {}, 1000],
  ])("is asked again after the pause it names: %s", async (_what, status, headers, pauseMs) => {
    let refusals = 0;
    hub.fault = ({ path }, response) =>
      path.includes("/tree/") && refusals++ === 0 ? refuse(response, status, null, "slow down", headers) : undefined;
    await fetchModel();
    expect(waits).toEqual([pauseMs]);
    expect(said[0]).toContain(`status ${String(status)}`);
  });

  test("for ever is given up after five tries", async () => {
    hub.fault = (_seen, response) => refuse(response, 429, null, "slow down", { "retry-after": "1" });
    const error = await failure(fetchModel());
    expect(error).toMatchObject({ code: "hub_unreachable", retryable: true });
    expect(error.message).toContain(
      "asks for fewer requests (status 429); it asks to wait 1 s; try again later; with a token in HF_TOKEN",
    );
    expect(hub.seen).toHaveLength(5);
  });

  test("that wants a pause of an hour is told no at once", async () => {
    hub.fault = (_seen, response) => refuse(response, 429, null, "slow down", { "retry-after": "3600" });
    expect((await failure(fetchModel())).message).toContain("it asks to wait 3600 s");
    expect(waits).toEqual([]);
  });

  test("while it sends a file is waited for, and the file continued", async () => {
    let times = 0;
    hub.fault = ({ origin }, response) => {
      if (origin !== "store") return undefined;
      times++;
      if (times === 1) return breakOff(response, WEIGHTS, 90_000);
      return times === 2 ? refuse(response, 429, null, "slow down", { "retry-after": "3" }) : undefined;
    };
    await fetchModel();
    expect(waits).toEqual([1000, 3000]);
    expect(hub.downloads("model.safetensors").map(({ range }) => range === null)).toEqual([true, false, false]);
  });
});

describe("a refusal says what to do", () => {
  const onFile = (status: number, code: string | null, message: string) => {
    hub.fault = ({ path }, response) =>
      path.includes("/resolve/") ? refuse(response, status, code, message) : undefined;
  };
  const onAll = (status: number, code: string | null, message: string) => {
    hub.fault = (_seen, response) => refuse(response, status, code, message);
  };

  test("gated, without a token: where to accept the licence, and which variable to set", async () => {
    onFile(401, "GatedRepo", `Access to model ${REPO} is restricted.`);
    const error = await failure(fetchModel());
    expect(error.code).toBe("bad_input");
    expect(error.message).toBe(
      `${REPO} is gated: accept its licence at ${hub.endpoint}/${REPO} (logged in), make a token at ${hub.endpoint}/settings/tokens and set HF_TOKEN to it`,
    );
    expect(waits).toEqual([]);
  });

  test("gated, with a token: that its account has no access", async () => {
    onFile(403, "GatedRepo", `Access to model ${REPO} is restricted and you are not in the authorized list.`);
    expect((await failure(fetchModel({ token: "hf_x" }))).message).toContain(
      `${REPO} is gated, and the account of your token has no access: accept its licence at ${hub.endpoint}/${REPO}`,
    );
  });

  test.each<[string, () => void, string | null, string]>([
    [
      "an invalid token",
      () => {
        onAll(401, null, "Invalid credentials in Authorization header");
      },
      "hf_x",
      "refuses your token (status 401): set HF_TOKEN to a valid one",
    ],
    [
      "a private or unknown repository",
      () => {
        onAll(401, "RepoNotFound", "Invalid username or password.");
      },
      null,
      `has no repository ${REPO} that can be seen without a token: check the name, or set HF_TOKEN if it is private`,
    ],
    [
      "an unknown repository",
      () => {
        onAll(404, "RepoNotFound", "Repository not found");
      },
      "hf_x",
      `has no repository ${REPO} that your token may see: check the name`,
    ],
    [
      "a forbidden repository",
      () => {
        onAll(403, null, "You do not have the rights");
      },
      "hf_x",
      "(status 403: You do not have the rights); use a token in HF_TOKEN that may read it",
    ],
    [
      "a file that is gone",
      () => {
        onFile(404, "EntryNotFound", "Entry not found");
      },
      null,
      `${REPO} has no file config.json at main`,
    ],
    [
      "anything else",
      () => {
        onAll(451, null, "Unavailable For Legal Reasons");
      },
      null,
      `answers 451 (Unavailable For Legal Reasons) for ${REPO} at main`,
    ],
  ])("%s", async (_what, prepare, token, message) => {
    prepare();
    const error = await failure(fetchModel({ token }));
    expect(error.code).toBe("bad_input");
    expect(error.message).toContain(message);
    expect(waits).toEqual([]);
  });

  test("an unknown revision", async () => {
    expect((await failure(fetchModel({}, "v9"))).message).toContain(`${REPO} has no revision v9`);
  });

  test.each(["a/b/c", "a/../b", "/etc", "acme/"])("%s is no name", async (name) => {
    expect((await failure(fetchByName(connection(), name, "main", {}))).message).toContain("expected a name such as");
    expect(hub.seen).toEqual([]);
  });

  test("a repository without a tokenizer", async () => {
    const other = await FakeHub.start(REPO);
    onTestFinished(() => other.close());
    other.add("config.json", CONFIG).add("model.safetensors", "w", true);
    const error = await failure(fetchModel({ endpoint: other.endpoint }));
    expect(error.message).toContain("expected tokenizer.json, got no such file");
    expect(other.downloads("model.safetensors")).toEqual([]);
  });

  test("no network", async () => {
    await hub.close();
    const error = await failure(fetchModel());
    expect(error.code).toBe("hub_unreachable");
    expect(error.message).toContain(
      `${hub.endpoint} cannot be reached (ECONNREFUSED); check the network, or name another hub in HF_ENDPOINT`,
    );
    expect(waits).toHaveLength(4);
  });

  test("offline on request", async () => {
    expect((await failure(fetchModel({ offline: true }))).message).toContain("HF_HUB_OFFLINE forbids to fetch it");
    expect(hub.seen).toEqual([]);
  });

  test("a server that is no hub", async () => {
    hub.fault = (_seen, response) => {
      response.end("<html>Log in to the guest network</html>");
      return "answered";
    };
    expect((await failure(fetchModel())).message).toContain("does not answer as a hub does");
  });

  test("a path that leads out of the folder", async () => {
    hub.add("../../escape.json", "x");
    expect((await failure(fetchModel())).message).toContain("does not answer as a hub does");
    expect(
      readdirSync(cacheFolder, { recursive: true })
        .map(String)
        .filter((name) => name.includes("escape")),
    ).toEqual([]);
  });
});
