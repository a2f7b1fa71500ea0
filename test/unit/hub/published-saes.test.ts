/** @file Which names of published SAEs are known, and that nothing is claimed of others. */
import { describe, expect, it } from "vitest";
import { neuronpediaUrl } from "../../../src/hub/published-sae.js";
import { publishedSaes } from "../../../src/hub/published-saes.js";
import type { HubSnapshot } from "../../../src/hub/snapshot.js";
import type { SaeSiteName } from "../../../src/nodes/site.js";

const snapshot = (repo: string, paths: readonly string[], revision = "main"): HubSnapshot => ({
  repo,
  revision,
  commit: "a".repeat(40),
  files: paths.map((path) => ({ path, size: 1, oid: "b".repeat(64) })),
});

const scopeFile = (layer: number, width: string, l0: number): string =>
  `layer_${String(layer)}/width_${width}/average_l0_${String(l0)}/params.npz`;

const [K16, M1] = [16_384, 1_048_576];

/** What is known of the SAE of a repository's only file. */
function nameOf(repo: string, path: string, sae: [SaeSiteName, number, number], revision = "main") {
  const [site, layer, width] = sae;
  return publishedSaes([snapshot(repo, [path], revision)])({ site, layer, width });
}

describe("an SAE of Gemma Scope", () => {
  const REPO = "google/gemma-scope-2b-pt-res";
  it("has the release, the id and the page that SAELens lists", () => {
    const found = nameOf(REPO, scopeFile(20, "16k", 71), ["resid_post", 20, K16]);
    expect(found).toEqual({
      release: "gemma-scope-2b-pt-res",
      saeId: "layer_20/width_16k/average_l0_71",
      neuronpediaId: "gemma-2-2b/20-gemmascope-res-16k",
    });
    expect(neuronpediaUrl(found)).toBe("https://www.neuronpedia.org/gemma-2-2b/20-gemmascope-res-16k");
    expect(neuronpediaUrl(found, 153)).toBe("https://www.neuronpedia.org/gemma-2-2b/20-gemmascope-res-16k/153");
  });

  it.each([
    [REPO, scopeFile(5, "16k", 143), ["resid_post", 5, K16], "gemma-2-2b/5-gemmascope-res-16k__l0-143"],
    [REPO, scopeFile(5, "1m", 114), ["resid_post", 5, M1], "gemma-2-2b/5-gemmascope-res-1m"],
    ["google/gemma-scope-2b-pt-att", scopeFile(25, "16k", 77), ["attn_z", 25, K16], "gemma-2-2b/25-gemmascope-att-16k"],
    ["google/gemma-scope-9b-it-res", scopeFile(9, "16k", 88), ["resid_post", 9, K16], "gemma-2-9b-it/9-gemmascope-res-16k"],
  ] as const)("of %s in %s, at %j, has the page %s", (repo, path, [site, layer, width], page) => {
    expect(nameOf(repo, path, [site, layer, width])?.neuronpediaId).toBe(page);
  }); // prettier-ignore

  it.each([
    ["another L0 than the page's", REPO, scopeFile(20, "16k", 139)],
    ["a page that SAELens' list gives to another layer", "google/gemma-scope-9b-pt-res", scopeFile(2, "16k", 8)],
  ])("has no page, but its names, for %s", (_, repo, path) => {
    const layer = Number(/^layer_(\d+)/.exec(path)?.[1]);
    expect(nameOf(repo, path, ["resid_post", layer, K16])).toMatchObject({
      saeId: path.replace("/params.npz", ""),
      neuronpediaId: null,
    });
  });

  it.each([
    ["another owner's copy", "mirror/gemma-scope-2b-pt-res", "16k", "main"],
    ["a repository that is not known", "google/gemma-scope-3b-pt-res", "16k", "main"],
    ["a branch that is not main", REPO, "16k", "other"],
    ["a pull request", REPO, "16k", "refs/pr/3"],
    ["a commit, of which nobody says where it is", REPO, "16k", "c".repeat(40)],
    ["a spelling of the width that the repository does not have", REPO, "16384", "main"],
  ])("is not named in %s", (_, repo, width, revision) => {
    expect(nameOf(repo, scopeFile(20, width, 71), ["resid_post", 20, K16], revision)).toBeUndefined();
  });

  it("is not named in a width that the repository is not known to have", () => {
    expect(nameOf(REPO, scopeFile(20, "8k", 71), ["resid_post", 20, 8192])).toBeUndefined();
    expect(nameOf(REPO, scopeFile(20, "16k", 71), ["resid_post", 20, K16])).toBeDefined();
  });

  it("is found by site, layer and width among the repositories of a family, and never for another", () => {
    const of = publishedSaes([
      snapshot("google/gemma-scope-2b-pt-res", [scopeFile(0, "16k", 105), scopeFile(1, "16k", 102)]),
      snapshot("google/gemma-scope-2b-pt-mlp", [scopeFile(0, "16k", 119)]),
    ]);
    expect(of({ site: "mlp_out", layer: 0, width: K16 })?.neuronpediaId).toBe("gemma-2-2b/0-gemmascope-mlp-16k");
    expect(of({ site: "resid_post", layer: 1, width: K16 })?.saeId).toBe("layer_1/width_16k/average_l0_102");
    expect(of({ site: "mlp_out", layer: 1, width: K16 })).toBeUndefined();
    expect(of({ site: "resid_post", layer: 0, width: 65_536 })).toBeUndefined();
  });
});

describe("an SAE of Gemma Scope 2", () => {
  const REPO = "google/gemma-scope-2-270m-pt";
  const file = (folder: string): string => `${folder}/params.safetensors`;
  it("has its release by the folder of its site, and a page where it is of medium L0 at resid_post", () => {
    const found = nameOf(REPO, file("resid_post/layer_12_width_16k_l0_medium"), ["resid_post", 12, K16]);
    expect(found).toEqual({
      release: "gemma-scope-2-270m-pt-res",
      saeId: "layer_12_width_16k_l0_medium",
      neuronpediaId: "gemma-3-270m/12-gemmascope-2-res-16k",
    });
    const small = nameOf(REPO, file("attn_out_all/layer_3_width_16k_l0_small"), ["attn_z", 3, K16]);
    expect(small).toEqual({
      release: "gemma-scope-2-270m-pt-att-all",
      saeId: "layer_3_width_16k_l0_small",
      neuronpediaId: null,
    });
  });

  it.each([
    ["google/gemma-scope-2-27b-pt", "attn_out/layer_16_width_16k_l0_big", "attn_z", 16, K16],
    ["google/toString", "resid_post/layer_12_width_16k_l0_medium", "resid_post", 12, K16],
    [REPO, "resid_post/layer_3_width_16k_l0_medium", "resid_post", 3, K16],
    [REPO, "resid_post_all/layer_12_width_65k_l0_small", "resid_post", 12, 65_536],
    [REPO, "attn_out/layer_12_width_1m_l0_small", "attn_z", 12, M1],
    [REPO, "resid_post/layer_12_width_16k_l0_medium_seed_1", "resid_post", 12, K16],
  ] as const)(
    "of %s in %s is not named: SAELens lists none, or it is no plain one",
    (repo, folder, site, layer, width) => {
      expect(nameOf(repo, file(folder), [site, layer, width])).toBeUndefined();
    },
  );
});
