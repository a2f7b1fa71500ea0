"""Prints what an installed SAELens lists of Google's SAEs of sites, as JSON.

    pip install --no-deps sae-lens && pip install pyyaml
    python3 test/independent/published_saes.py

It prints {"version", "saes"}: a list of {"release", "id", "repo", "path", "neuronpedia"}. The package is not imported, so neither torch
nor TransformerLens is needed. It ends with 3 where the package or PyYAML is missing, and names it.
"""

import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path


def missing(name):
    print(f"{name} is not installed", file=sys.stderr)
    sys.exit(3)


def main():
    package = importlib.util.find_spec("sae_lens")
    if package is None:
        missing("sae_lens")
    if importlib.util.find_spec("yaml") is None:
        missing("yaml")
    import yaml

    releases = yaml.safe_load((Path(package.submodule_search_locations[0]) / "pretrained_saes.yaml").read_text())
    saes = [
        {"release": release, "id": sae["id"], "repo": listed["repo_id"], "path": sae["path"], "neuronpedia": sae.get("neuronpedia")}
        for release, listed in releases.items()
        if listed["repo_id"].startswith("google/gemma-scope-") and "transcoder" not in release
        for sae in listed["saes"]
    ]
    print(json.dumps({"version": importlib.metadata.version("sae-lens"), "saes": saes}))


main()
