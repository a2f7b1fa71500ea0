/** @file The pages that people read, taken apart: their sentences, links, headings and code. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** The repository's folder. */
export const ROOT = join(import.meta.dirname, "..", "..", "..");

/** Paths of the pages written by hand, relative to the repository: those at the top, and all below docs/. */
export function pagePaths(): string[] {
  const docs = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" });
  return ["README.md", "CONTRIBUTING.md", ...docs.filter((path) => path.endsWith(".md")).map((path) => `docs/${path}`)];
}

/** A page's text. */
export function readPage(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

const FENCE = /^\s*```/;
/** Empty lines, headings, rows of tables and comments: none of them is prose. */
const NOT_PROSE = /^\s*$|^#|^\s*\||^\s*<!--/;
const LIST_ITEM = /^\s*(?:[-*]|\d+\.)\s+/;

/** A page's lines, those of fenced code apart: an empty line stands in the place of each. */
function splitCode(page: string): { readonly text: readonly string[]; readonly code: readonly string[] } {
  const text: string[] = [];
  const code: string[] = [];
  let inCode = false;
  for (const line of page.split("\n")) {
    const isFence = FENCE.test(line);
    if (isFence) inCode = !inCode;
    else if (inCode) code.push(line);
    text.push(isFence || inCode ? "" : line);
  }
  return { text, code };
}

/** Paragraphs and list items, each on one line. */
function blocks(page: string): string[] {
  const found: string[] = [];
  let isOpen = false;
  for (const line of splitCode(page).text) {
    if (NOT_PROSE.test(line)) isOpen = false;
    else if (isOpen && !LIST_ITEM.test(line)) found.push(`${found.pop() ?? ""} ${line.trim()}`);
    else {
      found.push(line.replace(LIST_ITEM, ""));
      isOpen = true;
    }
  }
  return found;
}

/** The text of a block as it is read: a link is its words, and a piece of code is one word. */
function asRead(block: string): string {
  return block
    .replaceAll(/!\[[^\]]*\]\([^)]*\)/g, "")
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll(/`[^`]*`/g, "Code")
    .replaceAll(/\*+/g, "")
    .trim();
}

const segmenter = new Intl.Segmenter("en", { granularity: "sentence" });

/** A page's sentences. A list item that does not end like a sentence is a fact of a list, and not among them. */
export function sentencesOf(page: string): string[] {
  return blocks(page)
    .map(asRead)
    .filter((text) => /[.!?:]["”)]*$/.test(text))
    .flatMap((text) => Array.from(segmenter.segment(text), ({ segment }) => segment.trim()));
}

/** How many words a sentence has: what stands between spaces and holds a letter or a digit. */
export function countWords(sentence: string): number {
  return sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
}

/** Targets of a page's links to other pages and files, relative to the repository, with the anchor after `#`. */
export function linksOf(path: string): string[] {
  const targets = splitCode(readPage(path))
    .text.join("\n")
    .matchAll(/\]\(([^)\s]+)\)/g);
  return Array.from(targets, ([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => (target.startsWith("#") ? `${path}${target}` : relative(ROOT, join(ROOT, path, "..", target))));
}

/** The anchors that a page's headings give, as GitHub makes them. */
export function anchorsOf(page: string): string[] {
  return splitCode(page)
    .text.filter((line) => /^#+ /.test(line))
    .map((line) =>
      asHeading(line)
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    );
}

function asHeading(line: string): string {
  return line.replace(/^#+ /, "").replaceAll("`", "").replaceAll("\\", "").trim();
}

/** The lines of a page's fenced code, and the pieces of code in its text. */
export function codeOf(page: string): string[] {
  const { text, code } = splitCode(page);
  return [...code, ...text.flatMap((line) => Array.from(line.matchAll(/`([^`]+)`/g), ([, piece = ""]) => piece))];
}
