/** @file Every kind of bad input gets one readable line, exit code 2, and no half-made run. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import { patchbay } from "./command.js";

const TINY_A = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));

let folder = "";
let out = "";

/** A fresh copy of the fixture's inputs for each case to break. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-bad-"));
  out = join(folder, "out");
  for (const part of ["model", "model-sharded", "saes", "saes-saelens", "data"])
    cpSync(join(TINY_A, part), join(folder, part), { recursive: true });
});

const SWEEP = `name: bad
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs.jsonl }
scores: [{ name: atp, method: atp }]
truth: { errors: {} }
`;

async function refusal(sweep: string, flags: readonly string[] = []): Promise<string> {
  writeFileSync(join(folder, "sweep.yaml"), sweep);
  const { code, stdout, stderr } = await patchbay(["run", join(folder, "sweep.yaml"), "--out", out, ...flags]);
  expect(stdout).toBe("");
  expect(stderr.trimEnd().split("\n"), stderr).toHaveLength(1);
  expect(code).toBe(2);
  expect(existsSync(out)).toBe(false);
  return stderr;
}

const edit = (file: string, change: (text: string) => string): void => {
  const path = join(folder, file);
  writeFileSync(path, change(readFileSync(path, "utf8")));
};

const SAE = "saes/mlp/layer_1/width_128/average_l0_19/params.npz";

describe("a sweep is refused", () => {
  it.each([
    ["an unknown field", `${SWEEP}colour: red\n`, ["sweep.yaml:7", "colour", "unknown field"]],
    ["a wrong type", `${SWEEP}seed: often\n`, ["sweep.yaml:7", "seed", "expected number"]],
    [
      "an impossible position",
      SWEEP.replace("errors: {}", "positions: 7, errors: {}"),
      ["sweep.yaml:6", "positions", "at most 7 tokens"],
    ],
    ["an option that is not built yet", `${SWEEP}dtype: bfloat16\n`, ["sweep.yaml:7", "dtype", "not built yet"]],
    ["a model folder that is not there", SWEEP.replace("path: model", "path: nowhere"), ["nowhere", "config.json"]],
  ])("for %s", async (_what, sweep, parts) => {
    const message = await refusal(sweep);
    for (const part of parts) expect(message).toContain(part);
  });
});

describe("one round", () => {
  async function faultsOf(sweep: string): Promise<string[]> {
    writeFileSync(join(folder, "sweep.yaml"), sweep);
    const { code, stderr } = await patchbay(["run", join(folder, "sweep.yaml"), "--out", out]);
    expect([code, existsSync(out)]).toEqual([2, false]);
    return stderr.trimEnd().split("\n");
  }

  it("names the faults of the sweep and of its dataset, a line each", async () => {
    edit("data/pairs.jsonl", (text) => `[]\n${text.replace('"clean_answer"', '"clean_response"')}`);
    const lines = await faultsOf(`${SWEEP}seed: often\ncolour: red\n`);
    const parts = ["sweep.yaml:7: seed", "sweep.yaml:8: colour", "pairs.jsonl:1: ", "pairs.jsonl:2: clean_answer"];
    expect(lines).toHaveLength(parts.length);
    for (const [i, part] of parts.entries()) expect(lines[i]).toContain(part);
  });

  it("names the faults of the dataset, of the SAEs and of the model", async () => {
    edit("data/pairs.jsonl", (text) => `[]\n${text}`);
    expect(await faultsOf(SWEEP.replace("path: model", "path: nowhere"))).toHaveLength(2);
    cpSync(join(folder, "saes/att/layer_1/width_128/average_l0_18/params.npz"), join(folder, SAE)); // Of another width.
    const lines = await faultsOf(SWEEP);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain("pairs.jsonl:1");
    expect(lines[1]).toContain(SAE);
  });

  it("names what several parts of the sweep ask for in vain", async () => {
    const lines = await faultsOf(
      `${SWEEP.replace("errors: {}", "positions: 7, errors: {}")}circuits: { scores: other }\ndtype: bfloat16\n`,
    );
    for (const part of ["dtype", "positions", "circuits.scores"])
      expect(lines.filter((line) => line.includes(part))).toHaveLength(1);
  });
});

describe("a model is refused", () => {
  it("without config.json", async () => {
    rmSync(join(folder, "model/config.json"));
    expect(await refusal(SWEEP)).toContain("config.json");
  });

  it("with a missing shard", async () => {
    rmSync(join(folder, "model-sharded/model-00002-of-00002.safetensors"));
    expect(await refusal(SWEEP.replace("path: model", "path: model-sharded"))).toContain(
      "model-00002-of-00002.safetensors",
    );
  });

  it("with a truncated safetensors file", async () => {
    truncateSync(join(folder, "model/model.safetensors"), 300_000);
    expect(await refusal(SWEEP)).toContain("model.safetensors");
  });

  it("with a tensor of another shape", async () => {
    edit("model/config.json", (text) => text.replace('"intermediate_size": 96', '"intermediate_size": 80'));
    expect(await refusal(SWEEP)).toMatch(/mlp\.\w+_proj\.weight/);
  });

  it("of another architecture", async () => {
    edit("model/config.json", (text) =>
      text.replace('"gemma2"', '"llama"').replace("Gemma2ForCausalLM", "LlamaForCausalLM"),
    );
    expect(await refusal(SWEEP)).toContain("llama");
  });
});

describe("SAEs are refused", () => {
  it("when their width does not match the model", async () => {
    cpSync(join(folder, "saes/att/layer_1/width_128/average_l0_18/params.npz"), join(folder, SAE));
    const message = await refusal(SWEEP);
    expect(message).toContain("params.npz");
    expect(message).toMatch(/48.*64|64.*48/);
  });

  it("when an npz is cut short", async () => {
    truncateSync(join(folder, SAE), 20_000);
    expect(await refusal(SWEEP)).toContain(SAE);
  });

  it("when a SAELens config asks for preprocessing that we do not do", async () => {
    edit("saes-saelens/layer_0_mlp_out/cfg.json", (text) =>
      text.replace('"apply_b_dec_to_input": false', '"apply_b_dec_to_input": true'),
    );
    const message = await refusal(SWEEP.replace("path: saes", "path: saes-saelens"));
    expect(message).toContain("layer_0_mlp_out");
    expect(message).toContain("apply_b_dec_to_input");
  });
});

describe("a dataset is refused", () => {
  it("with a broken line", async () => {
    edit("data/pairs.jsonl", (text) => text.replace('"case"', '"case'));
    expect(await refusal(SWEEP)).toContain("pairs.jsonl:1");
  });

  it("with a field missing", async () => {
    edit("data/pairs.jsonl", (text) => text.replace('"clean_answer"', '"clean_response"'));
    const message = await refusal(SWEEP);
    expect(message).toContain("pairs.jsonl:1");
    expect(message).toContain("clean_answer");
  });

  it("when nothing is left after dropping unusable pairs", async () => {
    const lines = readFileSync(join(folder, "data/pairs-with-faults.jsonl"), "utf8").split("\n");
    writeFileSync(join(folder, "data/pairs.jsonl"), `${lines.slice(1, 4).join("\n")}\n`);
    const message = await refusal(SWEEP);
    expect(message).toContain("unequal_length");
    expect(message).toContain("multi_token_answer");
  });
});

describe("flags and surroundings", () => {
  it("name a port that is in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? String(address.port) : "";
    try {
      expect(await refusal(SWEEP, ["--port", port])).toContain(port);
    } finally {
      server.close();
    }
  });

  it("name a NATS server that is not there", async () => {
    expect(await refusal(SWEEP, ["--log", "nats://127.0.0.1:9"])).toContain("nats://127.0.0.1:9");
  });

  it("refuse a folder that holds something else", async () => {
    mkdirSync(out);
    writeFileSync(join(out, "thesis.tex"), "");
    writeFileSync(join(folder, "sweep.yaml"), SWEEP);
    const { code, stderr } = await patchbay(["run", join(folder, "sweep.yaml"), "--out", out]);
    expect(code).toBe(2);
    expect(stderr).toContain("thesis.tex");
    expect(existsSync(join(out, "run.json"))).toBe(false);
  });

  it.each([
    ["a file", "out", "is a file; choose a folder"],
    ["below a file", "out/run", "cannot be written"],
  ])("refuse an output folder that is %s", async (_what, path, words) => {
    writeFileSync(out, "");
    writeFileSync(join(folder, "sweep.yaml"), SWEEP);
    const { code, stderr } = await patchbay(["run", join(folder, "sweep.yaml"), "--out", join(folder, path)]);
    expect(code, stderr).toBe(2);
    expect(stderr).toContain(`--out ${join(folder, path)}`);
    expect(stderr).toContain(words);
  });

  it.each([
    [["--workers", "0"], "--workers"],
    [["--backend", "jax"], "--backend"],
    [["--log", "redis://x"], "--log"],
    [["--colour"], "--colour"],
  ])("refuse %j", async (flags, part) => {
    writeFileSync(join(folder, "sweep.yaml"), SWEEP);
    const { code, stderr } = await patchbay(["run", join(folder, "sweep.yaml"), "--out", out, ...flags]);
    expect(code).toBe(2);
    expect(stderr).toContain(part);
  });

  it.each([
    ["worker", "--backend", "jax"],
    ["worker", "--engine-stall-seconds", "soon"],
    ["worker", "--memory-mib", "0"],
    ["coordinator", "--threads", "many"],
    ["coordinator", "--listen", "nowhere"],
  ])("refuse %s %s %s", async (role, flag, value) => {
    const { code, stderr } = await patchbay([role, flag, value]);
    expect(code).toBe(2);
    expect(stderr).toContain(flag);
  });
});

describe("an address of a coordinator", () => {
  it.each([["status"], ["watch", "x"], ["cancel", "x"], ["worker"]])(
    "is refused by `%s` unless it is HOST:PORT",
    async (...command) => {
      const { code, stderr } = await patchbay([...command, "--coordinator", "nonsense"]);
      expect(code, stderr).toBe(2);
      expect(stderr).toContain("expected HOST:PORT, got nonsense");
    },
  );

  it.each([["status"], ["watch", "x"], ["cancel", "x"]])(
    "where nothing listens is named by `%s`, at once and with what to do",
    async (...command) => {
      const { code, stdout, stderr } = await patchbay([...command, "--coordinator", "127.0.0.1:9"]);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toBe(
        "patchbay: no coordinator answers at 127.0.0.1:9; start one (patchbay coordinator), or name it with --coordinator HOST:PORT\n",
      );
    },
  );

  it.each([
    ["--backend", "jax"],
    ["--engine-stall-seconds", "soon"],
  ])("is not dialled by a worker with %s %s", async (...flags) => {
    const { code, stderr } = await patchbay(["worker", "--coordinator", "127.0.0.1:9", ...flags]);
    expect(code).toBe(2);
    expect(stderr).toContain(flags[0]);
  });
});
