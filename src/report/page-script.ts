/** @file The page's script: the modules of page-script/ as one inline script, and the hash by which the page allows it. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { assert } from "../base/assert.js";
import { Markup } from "./markup.js";

/** Modules, each after those that it imports. */
const MODULES = ["nodes", "attention", "tables", "node-card", "scatter", "places", "question", "start"];

/** The script, and the source that a content security policy has to allow. */
export interface PageScript {
  readonly element: Markup;
  readonly source: string;
}

let made: PageScript | undefined;

/** Reads and joins the modules, once. */
export function pageScript(): PageScript {
  return (made ??= makeScript());
}

function makeScript(): PageScript {
  const text = `"use strict";\nconst modules = {};\n${MODULES.map(joinable).join("")}`;
  assert(!/<\/script/i.test(text), "the page's script holds an end tag");
  const hash = createHash("sha256").update(text).digest("base64");
  return { element: new Markup(`<script type="module">${text}</script>`), source: `'sha256-${hash}'` };
}

/** A module as a function call: its imports come from the modules before it, its exports go to those after it. */
function joinable(name: string): string {
  const text = readFileSync(new URL(`page-script/${name}.js`, import.meta.url), "utf8");
  const exported = [...text.matchAll(/^export (?:function|const) (\w+)/gm)].map(([, one = ""]) => one);
  const body = text
    .replace(/^import (\{[^}]*\}) from "\.\/([\w-]+)\.js";$/gm, 'const $1 = modules["$2"];')
    .replace(/^export /gm, "")
    .replace(/^\/\/# sourceMappingURL.*$/gm, "");
  return `modules["${name}"] = (() => {\n${body}\nreturn { ${exported.join(", ")} };\n})();\n`;
}
