/** @file What is known of Google's published SAEs is what an installed SAELens lists. */
import { dirname, basename } from "node:path";
import { expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import type { PublishedSae } from "../../src/hub/published-sae.js";
import { publishedSaes } from "../../src/hub/published-saes.js";
import { listGemmaScopeFiles } from "../../src/weights/gemma-scope.js";
import { listGemmaScope2Files } from "../../src/weights/gemma-scope-2.js";
import { askLibraries } from "./run-python.js";

interface Listed {
  readonly release: string;
  readonly id: string;
  readonly repo: string;
  readonly path: string;
  readonly neuronpedia: string | null;
}

/** No SAE of a layer's site, or a second training of one, which are not chosen or not named. */
const LEFT_OUT = /^embedding\/|_seed_\d+$/;
/** Entries whose page is that of another layer or L0. */
const CONTRADICTORY = new Set(["gemma-2-9b/20-gemmascope-res-131k__l0-10", "gemma-2-9b/20-gemmascope-res-131k__l0-12"]);

function nameOf({ repo, path }: Listed): PublishedSae | undefined {
  const file = `${path}/params.${repo.includes("gemma-scope-2-") ? "safetensors" : "npz"}`;
  const [sae] = [...listGemmaScopeFiles(basename(repo), [file]), ...listGemmaScope2Files([file])];
  const files = [{ path: file, size: 1, oid: "a".repeat(64) }];
  return publishedSaes([{ repo, revision: "main", commit: "a".repeat(40), files }])(must(sae, dirname(file)));
}

test("every SAE that SAELens lists has the release, the id and the page of the list, and no other page", (context) => {
  const { version, saes } = askLibraries(context, "published_saes.py") as { version: string; saes: readonly Listed[] };
  const pages = new Map<string, Set<string>>();
  for (const { repo, path, neuronpedia: page } of saes) {
    if (page === null || CONTRADICTORY.has(page)) continue;
    const key = `${repo} ${path}`;
    pages.set(key, (pages.get(key) ?? new Set()).add(page));
  }
  const compared = saes.filter(({ release, path }) => !release.endsWith("-canonical") && !LEFT_OUT.test(path));
  const wrong = compared.filter((sae) => {
    const found = nameOf(sae);
    const known = pages.get(`${sae.repo} ${sae.path}`);
    const page = found?.neuronpediaId ?? null;
    const isPage = known === undefined ? page === null : page !== null && known.has(page);
    return found?.release !== sae.release || found.saeId !== sae.id || !isPage;
  });
  console.log(`compared ${String(compared.length)} SAEs with SAELens ${version}`);
  expect(wrong).toEqual([]);
  expect(compared.length).toBeGreaterThan(5000);
});
