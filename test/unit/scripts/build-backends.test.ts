import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const SCRIPTS = ["native-toolchain.js", "build-native.js", "build-tensorflow.js"];

/** A checkout without a cache, on a machine whose only programs are the ones written into `bin`. */
let folder = "";
const bin = (): string => join(folder, "bin");

function program(name: string, text: string): string {
  const file = join(bin(), name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

/** A Python with pip and no packages, which finds nothing on PyPI. */
const PYTHON = 'case "$*" in *download*) echo "ERROR: No matching distribution found" >&2; exit 1 ;; esac';

/** Builds the named backend there. @returns what it printed. */
function build(script: string, flags: readonly string[], env: Record<string, string> = {}): string {
  const args = [join(folder, "scripts", script), ...flags];
  const CXX = join(bin(), "c++");
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    env: { PATH: bin(), CXX, ...env },
  });
  expect([status, stderr]).toEqual([1, ""]);
  return stdout;
}

/** Evaluates an expression with what build-native.js exports there. @returns what it printed. */
function ask(expression: string): string {
  const module = JSON.stringify(join(folder, "scripts", "build-native.js"));
  const text = `const { buildNative, isOnPypi } = await import(${module}); console.log(${expression});`;
  const env = { PATH: bin(), CXX: join(bin(), "c++") };
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", text], {
    encoding: "utf8",
    env,
  });
  expect(stderr).toBe("");
  return stdout;
}

describe("building a native backend", () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "patchbay-build-"));
    for (const name of ["scripts", "bin", "native"]) mkdirSync(join(folder, name));
    for (const name of SCRIPTS) cpSync(join(ROOT, "scripts", name), join(folder, "scripts", name));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    program(
      "c++",
      'case "$1" in -dumpmachine) echo nowhere ;; --version) echo 1 ;; *) echo "no such header" >&2; exit 1 ;; esac',
    );
    program("python3", PYTHON);
    program("npm", 'echo "npm error network" >&2; exit 1');
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it("names the compiler that is missing", () => {
    expect(build("build-native.js", [], { CXX: "absent-compiler" })).toMatch(
      /no C\+\+ compiler \(absent-compiler\).*CXX/,
    );
    expect(build("build-tensorflow.js", [], { CXX: "absent-compiler" })).toMatch(/no C\+\+ compiler/);
  });

  it("says what a folder that was named lacks", () => {
    expect(build("build-native.js", ["--from", "/nowhere"])).toMatch(/\/nowhere: expected .*lib\/libtorch_cpu\.so/);
    expect(build("build-native.js", [], { PATCHBAY_TORCH: "/nowhere" })).toMatch(/\/nowhere: expected/);
    expect(build("build-tensorflow.js", ["--from", "/nowhere"])).toMatch(/\/nowhere: expected .*libtensorflow_cc/);
  });

  it("lists every way to a libtorch where there is none", () => {
    expect(build("build-native.js", [])).toMatch(/no libtorch: .*libtorch-dev.*pip install torch.*--fetch/);
  });

  it("stays with the last build's libtorch, and looks again when forced or when that libtorch is gone", () => {
    const libtorch = (name: string): { include: string; lib: string } => {
      const [include, lib] = ["include", "lib"].map((part) => join(folder, name, part)) as [string, string];
      mkdirSync(join(include, "ATen"), { recursive: true });
      mkdirSync(lib);
      writeFileSync(join(include, "ATen", "ATen.h"), "");
      writeFileSync(join(lib, "libtorch_cpu.so"), "");
      return { include, lib };
    };
    const last = { origin: "the last build's", abi: "1", ...libtorch("last") };
    libtorch("environment");
    program("python3", `echo ${join(folder, "environment")}`);
    const into = join(folder, "native", "build");
    mkdirSync(into);
    writeFileSync(join(into, "patchbay-torch.node"), "");
    writeFileSync(join(into, "build.json"), JSON.stringify({ sources: "older", torch: last, anyProcessor: false }));
    writeFileSync(join(folder, "native", "call.cc"), "");
    expect(build("build-native.js", [])).toMatch(/^libtorch: the last build's\n.*no such header/s);
    expect(build("build-native.js", ["--force"])).toMatch(/^libtorch: torch of the Python environment/);
    rmSync(last.lib, { recursive: true });
    expect(build("build-native.js", [])).toMatch(/^libtorch: torch of the Python environment/);
    program("python3", PYTHON);
  });

  it("says that pip is missing, or Python, and what to install", () => {
    program("python3", 'case "$*" in *pip*) echo "No module named pip" >&2; exit 1 ;; esac');
    expect(build("build-native.js", ["--fetch"])).toMatch(/python3 has no pip: apt-get install python3-pip/);
    rmSync(join(bin(), "python3"));
    expect(build("build-native.js", ["--fetch"])).toMatch(/no python3: apt-get install python3 python3-pip/);
    program("python3", PYTHON);
  });

  it("fetches PyPI's libtorch where there is no other and the caller says so, and knows a build on it", () => {
    const torch = join(folder, ".cache", "torch", "torch");
    const [include, lib] = [join(torch, "include"), join(torch, "lib")];
    const header = `/bin/mkdir -p ${include}/ATen ${lib} && : > ${include}/ATen/ATen.h && : > ${lib}/libtorch_cpu.so`;
    program("python3", `case "$*" in *download*) ${header} ;; esac`);
    const into = join(folder, "native", "build");
    rmSync(into, { recursive: true, force: true });
    expect(build("build-native.js", [])).toMatch(/no libtorch/);
    expect(ask("(await buildNative({ orFetch: true })).problem")).toMatch(
      /fetching torch==.*libtorch: PyPI's wheel in .cache\/torch.*no such header/s,
    );
    expect(ask("isOnPypi()")).toBe("false\n");
    mkdirSync(into, { recursive: true });
    writeFileSync(join(into, "build.json"), JSON.stringify({ torch: { include, lib } }));
    expect(ask("isOnPypi()")).toBe("true\n");
    writeFileSync(join(into, "build.json"), JSON.stringify({ torch: { include: "/usr/include", lib: "/usr/lib" } }));
    expect(ask("isOnPypi()")).toBe("false\n");
    for (const made of [into, torch]) rmSync(made, { recursive: true });
    program("python3", PYTHON);
  });

  it("passes on why PyPI gave nothing", () => {
    expect(build("build-native.js", ["--fetch"])).toMatch(/fetched from PyPI: ERROR: No matching distribution/);
    expect(build("build-tensorflow.js", [])).toMatch(/fetched from PyPI: ERROR: No matching distribution/);
  });

  it("passes on npm's and the compiler's complaints", () => {
    const tensorflow = join(folder, "tensorflow");
    mkdirSync(join(tensorflow, "include", "tensorflow", "c"), { recursive: true });
    for (const name of ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2", "include/tensorflow/c/c_api.h"])
      writeFileSync(join(tensorflow, name), "");
    expect(build("build-tensorflow.js", ["--from", tensorflow])).toMatch(/npm could not install .*: npm error network/);
    program("npm", "exit 0");
    mkdirSync(join(folder, ".cache", "tensorflow", "node_modules", "@tensorflow"), { recursive: true });
    expect(build("build-tensorflow.js", ["--from", tensorflow])).toMatch(/the compiler failed:\nno such header/);
  });
});

describe("the packages", () => {
  it("leave TensorFlow's to be asked for: npm installs none of it", () => {
    const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
      packages: Record<string, { peerDependenciesMeta?: unknown }>;
    };
    expect(packages[""]?.peerDependenciesMeta).toEqual({ "@tensorflow/tfjs-node-gpu": { optional: true } });
    expect(Object.keys(packages).filter((name) => name.includes("tfjs-node"))).toEqual([]);
  });
});
