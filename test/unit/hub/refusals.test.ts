/** @file Fetching from a hub that is busy or refuses: what is waited for, and what people are told. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { fetchByName } from "../../../src/hub/fetch-weights.js";
import { breakOff, FakeHub, refuse } from "./fake-hub.js";
import {
  cacheFolder,
  CONFIG,
  connection,
  failure,
  fetchModel,
  hub,
  paths,
  REPO,
  said,
  waits,
  WEIGHTS,
} from "./one-repo.js";

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
    expect(said.filter((text) => text.includes("trying again"))).toHaveLength(1);
  });

  test("for ever with empty pages of its list of files is given up", async () => {
    hub.fault = ({ path }, response) => {
      if (!path.includes("/tree/")) return undefined;
      response.setHeader("link", `<${hub.endpoint}${path}>; rel="next"`).end("[]");
      return "answered";
    };
    const error = await failure(fetchModel());
    expect(error.message).toContain("lists its files on more than 1000 pages");
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

  test.each([".", "./main", "a/", "a//b", "a/../b", "a b"])("%j is no revision", async (revision) => {
    expect((await failure(fetchModel({}, revision))).message).toContain("expected a branch, a tag or a commit");
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
    const { message } = await failure(fetchModel());
    expect(message).toContain("does not answer as a hub does (path: ");
    expect(message).not.toContain("\n");
    expect(
      readdirSync(cacheFolder, { recursive: true })
        .map(String)
        .filter((name) => name.includes("escape")),
    ).toEqual([]);
  });
});

describe("a cache that cannot be used is named, with the variable that names another", () => {
  test.each<[string, () => void]>([
    [
      "a file",
      () => {
        writeFileSync(cacheFolder, "");
      },
    ],
    [
      "a link to nothing",
      () => {
        symlinkSync(`${cacheFolder}-nowhere`, cacheFolder);
      },
    ],
    [
      "one with a folder where a file belongs",
      () => {
        mkdirSync(paths().ref("main"), { recursive: true });
      },
    ],
  ])("%s", async (_what, prepare) => {
    mkdirSync(dirname(cacheFolder), { recursive: true });
    prepare();
    const error = await failure(fetchModel());
    expect(error.code).toBe("bad_input");
    expect(error.message).toMatch(
      /^the cache .*hub cannot be used \(E.*\); mend that, or name another folder in HF_HOME$/,
    );
  });

  test("one on a disk that is full before the first file comes", async () => {
    mkdirSync(dirname(paths().ref("x")), { recursive: true });
    symlinkSync("/dev/full", `${paths().ref("main")}.${String(process.pid)}.tmp`); // Answers writes as a full disk does.
    expect(await failure(fetchModel())).toMatchObject({ code: "disk_full" });
  });
});
