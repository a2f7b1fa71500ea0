/**
 * @file Finds a kubectl whose kustomize is recent enough for deploy/, or fetches one into the project's cache: from Debian's stable
 * release, since an older release may have one that is too old. `node scripts/kubectl.js` prints its path; exit code 1 and one
 * line when there is none.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const CACHE = fileURLToPath(new URL("../.cache/kubectl", import.meta.url));
const CACHED = join(CACHE, "kubectl");
/** From this minor version on, `resources` may name folders and `patches` may name files. */
const OLDEST_MINOR = 22;
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Where a usable kubectl lies: on PATH or in the project's cache; null when in neither. */
export function findKubectl() {
  const onPath = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "kubectl"));
  return [...onPath, CACHED].find((file) => existsSync(file) && isRecent(file)) ?? null;
}

function isRecent(file) {
  const [, minor] = /"gitVersion": "v1\.(\d+)/.exec(run(file, ["version", "--client", "-o", "json"])) ?? [];
  return Number(minor ?? 0) >= OLDEST_MINOR;
}

/** Returns the path of the fetched kubectl, or null. Needs apt, but neither root nor a change to the machine's packages. */
function fetchKubectl() {
  const [mirror] = run("apt-get", ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]).split("\n");
  if (!mirror) return null;
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, "fetch-"));
  try {
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
    run("apt-get", ["-qq", ...options, "download", "kubectl/stable"], folder);
    const archive = readdirSync(folder).find((name) => name.endsWith(".deb"));
    if (archive === undefined) return null;
    run("dpkg-deb", ["-x", archive, "unpacked"], folder);
    const binary = join(folder, "unpacked", "usr", "bin", "kubectl");
    if (!isRecent(binary)) return null;
    renameSync(binary, CACHED);
    return CACHED;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Standard output of a command; empty when it fails. */
function run(command, args, cwd) {
  const result = spawnSync(command, args, { cwd, encoding: "utf8", timeout: 300_000 });
  return result.status === 0 ? result.stdout : "";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = findKubectl() ?? fetchKubectl();
  console.log(path ?? `kubectl: not on PATH and not obtained from Debian; install kubectl 1.${OLDEST_MINOR} or later`);
  process.exitCode = path === null ? 1 : 0;
}
