/** @file The container images: what they copy is in the build's context, and every mention of a release is package.json's. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { release } from "../../../src/base/code-version.js";

const DEPLOY = join(import.meta.dirname, "..", "..", "..", "deploy");
const linesOf = (name: string): string[] => readFileSync(join(DEPLOY, name), "utf8").split("\n");

/** What a Dockerfile copies out of the checkout. */
const copied = (dockerfile: string): string[] =>
  linesOf(dockerfile)
    .filter((line) => line.startsWith("COPY ") && !line.includes("--from="))
    .flatMap((line) => line.split(" ").slice(1, -1));

test("every file that the image copies from the checkout is in the build's context", () => {
  const [everything, ...exceptions] = linesOf("Dockerfile.dockerignore").filter((line) => /^[^#\s]/.test(line));
  expect(everything).toBe("*");
  const inContext = new Set(exceptions.map((line) => line.replace(/^!/, "")));
  const sources = copied("Dockerfile");
  expect(sources).toEqual(expect.arrayContaining(["package.json", "native/*.cc", "src"]));
  expect(sources.filter((source) => !inContext.has(source))).toEqual([]);
});

test("package.json, which names the release, lies beside the compiled files in the image", () => {
  const lines = linesOf("Dockerfile");
  expect(lines).toContain("COPY --from=build /app/package.json ./");
  expect(lines).toContain("COPY --from=build /app/dist dist");
});

test("images are tagged with the release of package.json, wherever they are named", () => {
  const files = readdirSync(DEPLOY, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const tags = files.flatMap(({ parentPath, name }) => {
    const text = readFileSync(join(parentPath, name), "utf8");
    return [...text.matchAll(/\bpatchbay(?:-cuda)?:(\S+)/g)].map(([, tag]) => ({ name, tag }));
  });
  expect(tags.length).toBeGreaterThan(5);
  expect(tags.filter(({ tag }) => tag !== release())).toEqual([]);
});
