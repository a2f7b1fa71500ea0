/** @file The package that `npm pack` makes, beside what npm installs with it (no development dependency): it holds all that it needs. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"; // prettier-ignore
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** What is made where it is used, and not shipped: what was built there, and what was fetched. */
const MADE_LATER = /^native\/build\/|^\.cache\//;

interface Manifest {
  readonly version: string;
  readonly dependencies: Record<string, string>;
  readonly peerDependencies: Record<string, string>;
}

let folder = "";
/** The package's folder, as npm would install it. */
let installed = "";
const bin = (): string => join(folder, "bin");

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-packed-"));
  const modules = join(folder, "node_modules");
  installed = join(modules, "patchbay");
  mkdirSync(installed, { recursive: true });
  mkdirSync(bin());
  // What npm would build before it packs is built: cluster tests run it.
  execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder], { cwd: ROOT });
  const [archive = ""] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  execFileSync("tar", ["-xzf", join(folder, archive), "-C", installed, "--strip-components=1"]);
  linkDependencies(modules);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Puts beside the package what package-lock.json installs without development dependencies: links to this checkout's. */
function linkDependencies(modules: string): void {
  const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
  };
  for (const [path, { dev, devOptional }] of Object.entries(packages)) {
    const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path)?.[1];
    if (name === undefined || dev === true || devOptional === true || !existsSync(join(ROOT, path))) continue;
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(ROOT, path), join(modules, name));
  }
}

/** Runs the installed command, where the only programs are those in `bin`. */
function patchbay(args: readonly string[]): { code: number | null; stdout: string; stderr: string } {
  const env = { PATH: bin(), CXX: join(bin(), "c++"), HOME: folder };
  const command = [join(installed, "bin", "patchbay.js"), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: folder, env, encoding: "utf8" });
  return { code: status, stdout, stderr };
}

function program(name: string, text: string): void {
  writeFileSync(join(bin(), name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(bin(), name), 0o755);
}

/** A folder that holds these files, all empty. */
function folderOf(name: string, files: readonly string[]): string {
  for (const file of files) {
    mkdirSync(dirname(join(folder, name, file)), { recursive: true });
    writeFileSync(join(folder, name, file), "");
  }
  return join(folder, name);
}

/** A compiler that compiles nothing, and says whether it was shown Node-API's headers. */
const COMPILER = `[ "$1" = --version ] && exit 0
for folder in "$@"; do [ -f "\${folder#-I}/node_api.h" ] && echo "it has Node-API's headers" >&2; done
exit 1`;

describe("the packed product", () => {
  const modules = (): string[] =>
    ["bin", "dist", "scripts"].flatMap((part) =>
      readdirSync(join(installed, part), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".js"))
        .map((name) => join(part, name)),
    );

  test("holds every module that its modules import, or depends on the package that does", () => {
    const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as Manifest;
    const known = new Set(
      [manifest.dependencies, manifest.peerDependencies].flatMap((packages) => Object.keys(packages)),
    );
    const lost = modules().flatMap((module) => {
      const { importedFiles } = ts.preProcessFile(readFileSync(join(installed, module), "utf8"), true, true);
      return importedFiles
        .map(({ fileName }) => fileName)
        .filter((name) => !name.startsWith("node:") && !builtinModules.includes(name))
        .filter((name) =>
          name.startsWith(".")
            ? !existsSync(join(installed, dirname(module), name))
            : !known.has(/^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name),
        )
        .map((name) => `${module}: ${name}`);
    });
    expect(modules().length).toBeGreaterThan(200);
    expect(lost).toEqual([]);
  });

  test("says its release, which package.json names", () => {
    const { version } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as Manifest;
    expect(patchbay(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });

  test("holds every file that its modules look for beside themselves", () => {
    const lost = modules().flatMap((module) => {
      const text = readFileSync(join(installed, module), "utf8");
      return [...text.matchAll(/new URL\(["`]([^"`$]+)["`], import\.meta\.url\)/g)]
        .map(([, path = ""]) => join(dirname(module), path))
        .filter((path) => !MADE_LATER.test(path) && !existsSync(join(installed, path)));
    });
    expect(lost).toEqual([]);
  });

  test("holds the data of the demonstration, and the native sources", () => {
    for (const part of ["data", "native"]) {
      const shipped = readdirSync(join(ROOT, part), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length))
        .filter((name) => part === "data" || /\.(cc|h)$/.test(name));
      expect(shipped.filter((name) => !existsSync(join(installed, name)))).toEqual([]);
    }
  });

  test("runs a sweep on its own data", () => {
    const sweep = join(folder, "sweep.yaml");
    const inputs = join(installed, "data");
    writeFileSync(
      sweep,
      `name: packed
model: { path: ${inputs}/tiny-gemma2 }
saes: { path: ${inputs}/tiny-gemma2/saes }
dataset: { path: ${inputs}/agreement/simple.test.jsonl, limit: 2 }
scores: [{ name: atp, method: atp }]
`,
    );
    const { code, stdout, stderr } = patchbay(["run", sweep, "--out", join(folder, "run"), "--backend", "wasm"]);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^report: .*report\.html$/m);
    expect(code).toBe(0);
  });

  test("has what doctor --build torch needs of npm", () => {
    program("c++", COMPILER);
    const torch = folderOf("torch", ["include/ATen/ATen.h", "lib/libtorch_cpu.so"]);
    expect(patchbay(["doctor", "--build", "torch", "--from", torch]).stdout).toMatch(
      /the compiler failed:\nit has Node-API's headers/,
    );
  });

  test("doctor --build tensorflow gives TensorFlow's package the tfjs-core that this one uses", () => {
    program("c++", COMPILER);
    const scope = join(installed, ".cache", "tensorflow", "node_modules", "@tensorflow");
    program("npm", `/bin/mkdir -p ${scope}`);
    const libraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2", "include/tensorflow/c/c_api.h"];
    const tensorflow = folderOf("tensorflow", libraries);
    expect(patchbay(["doctor", "--build", "tensorflow", "--from", tensorflow]).stdout).toMatch(
      /the compiler failed:\nit has Node-API's headers/,
    );
    const own = join(folder, "node_modules", "@tensorflow", "tfjs-core");
    expect(realpathSync(join(scope, "tfjs-core"))).toBe(realpathSync(own));
  });
});
