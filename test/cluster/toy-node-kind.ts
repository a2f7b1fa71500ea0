/**
 * @file A kind of node that the product does not have, as the edits of the source files that a kind touches, and a build with these edits.
 * The kind is a site halfway: its patch moves a whole site half of the way from the clean to the corrupted activation.
 */
import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const SOURCES = join(PROJECT, "src");

/** What is in a file once, and what stands there with the kind. */
type Edit = readonly [before: string, after: string];

/** By file below src: all that the kind takes. */
const EDITS: Readonly<Record<string, readonly Edit[]>> = {
  "nodes/kinds.ts": [
    ['"site", "head", "neuron"] as const', '"site", "head", "neuron", "halfway"] as const'],
    [
      "} as const satisfies Record<NodeKind,",
      `  halfway: {
    label: "site halfway",
    plural: "sites halfway",
    listRank: 7,
    slotRank: 7,
    hookTail: ".hook_halfway",
    index: null,
    sites: SAE_SITES,
    perPosition: () => 1,
    onSae: false,
    partOf: null,
    isSparse: false,
    onRequest: false,
    states: "slices",
    counter: () => "nSites",
  },
} as const satisfies Record<NodeKind,`,
    ],
  ],
  "plan/node-slots.ts": [
    ["  neuron: null,\n", "  neuron: null,\n  halfway: null,\n"],
    ["  neuron: () => [],\n", "  neuron: () => [],\n  halfway: () => [],\n"],
  ],
  "experiments/scores/scores.ts": [
    ["    neuron: new Map<", "    halfway: new Map<string, Float32Array>(),\n    neuron: new Map<"],
    [
      "    collected.site.set(hook, dot);\n",
      `    collected.site.set(hook, dot);
    collected.halfway.set(hook, await dotScores(gradient_RD, own(tf.mul(delta_RD, 0.5))));
`,
    ],
  ],
  "experiments/truth/truth-deltas.ts": [
    [
      '      case "error_linear":\n      case "site":\n',
      '      case "error_linear":\n      case "halfway":\n      case "site":\n',
    ],
    ['kinds.has("site") ||', 'kinds.has("halfway") || kinds.has("site") ||'],
    [
      '      case "site":\n        return bySite[0];\n',
      `      case "site":
        return bySite[0];
      case "halfway":
        return bySite[0]?.map((change) => change / 2);
`,
    ],
    [
      '    case "site":\n      return gathered(whole);\n',
      `    case "site":
      return gathered(whole);
    case "halfway":
      return tf.mul(gathered(whole), 0.5);
`,
    ],
  ],
  "experiments/truth/work.ts": [
    [
      "  head: { isKept: false, add: addWhole },\n",
      "  head: { isKept: false, add: addWhole },\n  halfway: { isKept: false, add: addWhole },\n",
    ],
  ],
};

/** Compiles the product with the kind into a folder. @throws Error with the compiler's words where a file wants more than the edits. */
export function buildWithToyKind(folder: string): void {
  for (const part of ["bin", "proto", "native", "src", "package.json", "tsconfig.json", "tsconfig.build.json"])
    cpSync(join(PROJECT, part), join(folder, part), { recursive: true, filter: (path) => !/native\/build/.test(path) });
  cpSync(join(PROJECT, "dist/wire/generated"), join(folder, "dist/wire/generated"), { recursive: true });
  symlinkSync(join(PROJECT, "node_modules"), join(folder, "node_modules"));
  for (const [file, edits] of Object.entries(EDITS)) {
    const path = join(folder, "src", file);
    writeFileSync(path, edits.reduce(edited, readFileSync(path, "utf8")));
  }
  const compiler = join(PROJECT, "node_modules/typescript/bin/tsc");
  const { status, stdout } = spawnSync(
    process.execPath,
    [compiler, "-p", "tsconfig.build.json", "--declaration", "false"],
    {
      cwd: folder,
      encoding: "utf8",
    },
  );
  if (status !== 0) throw new Error(stdout);
}

function edited(text: string, [before, after]: Edit): string {
  if (text.split(before).length !== 2) throw new Error(`expected once in its file: ${before}`);
  return text.replace(before, () => after);
}

/** Files below src that are others in the folder than in the product, or that only one of them has. */
export function changedFiles(folder: string): string[] {
  const [ours, theirs] = [textsBelow(SOURCES), textsBelow(join(folder, "src"))];
  const names = [...new Set([...ours.keys(), ...theirs.keys()])];
  return names.filter((name) => ours.get(name) !== theirs.get(name)).sort();
}

function textsBelow(root: string): Map<string, string> {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map(({ parentPath, name }) => join(parentPath, name));
  return new Map(paths.map((path) => [relative(root, path), readFileSync(path, "utf8")]));
}
