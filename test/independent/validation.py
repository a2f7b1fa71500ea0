"""Recomputes what a run says of its truth, with numpy, pandas and scipy, from the parquet files alone.

    pip install numpy pandas pyarrow scipy
    python3 test/independent/validation.py RUN

Compared are the numbers of validation.json that draw no random numbers: every statistic of every group, plain and weighted, strata,
agreement on single prompts, bounds on what was not measured, intraclass correlations; and the means and standard errors of
validation.parquet. It prints how many agree, and ends with 1 where one does not.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

NODE = ["hook", "position", "feature", "head", "neuron"]
TOP_K = 10
counts = {"agree": 0, "differ": 0}


def same(what, found, expected, tolerance=1e-9):
    found = np.nan if found is None else found
    expected = np.nan if expected is None or not np.isfinite(expected) else expected
    if np.isclose(found, expected, rtol=tolerance, atol=1e-12, equal_nan=True):
        counts["agree"] += 1
        return
    counts["differ"] += 1
    print(f"{what}: the run says {found}, here it is {expected}")


def midranks(values, weights):
    order = pd.Series(weights).groupby(values).sum().sort_index()
    middle = order.cumsum() - order / 2
    return middle.loc[values].to_numpy()


def flat(values):
    """Equal but for what float32 leaves: no statistic of such an order means anything."""
    first = values[0]
    return bool((np.abs(values - first) <= 1e-5 * np.maximum(np.abs(values), abs(first))).all())


def weighted_r(x, y, w):
    if len(x) < 2 or flat(x) or flat(y):
        return np.nan
    covariance = np.cov(x, y, aweights=w, ddof=0)
    return covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])


def weighted_tau(x, y, w):
    if len(x) < 2 or flat(x) or flat(y):
        return np.nan
    a, b = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    pairs = w[:, None] * w
    return (pairs * a * b).sum() / np.sqrt((pairs * a**2).sum() * (pairs * b**2).sum())


def overlap(x, y, w):
    if len(x) <= TOP_K:
        return np.nan

    def shares(values):
        left, held = TOP_K, np.zeros(len(values))
        for row in np.argsort(-np.abs(values), kind="stable"):
            held[row] = min(left, w[row])
            left -= held[row]
            if left <= 0:
                break
        return held

    return np.minimum(shares(x), shares(y)).sum() / TOP_K


def statistics(x, y, w):
    agree = np.sign(x) == np.sign(y)
    size = np.abs(y)
    line = np.polyfit(x, y, 1, w=np.sqrt(w)) if len(x) > 1 and not flat(x) else (np.nan, np.nan)
    spread = np.cov(x, y, aweights=w, ddof=0) if len(x) > 1 else np.full((2, 2), np.nan)
    varies = len(x) > 1 and not flat(y)
    return {
        "pearson": weighted_r(x, y, w),
        "spearman": weighted_r(midranks(x, w), midranks(y, w), w) if len(x) > 1 and not flat(x) and not flat(y) else np.nan,
        "kendall": weighted_tau(x, y, w),
        "sign_agreement": np.average(agree, weights=w) if len(x) else np.nan,
        "sign_agreement_by_effect": np.average(agree, weights=w * size) if (w * size).sum() > 0 else np.nan,
        "slope": line[0],
        "intercept": line[1],
        "size_ratio": np.sqrt(spread[0, 0] / spread[1, 1]) if varies else np.nan,
        "off": (w * np.abs(x - y)).sum() / (w * size).sum() if (w * size).sum() > 0 else np.nan,
        "top_k_overlap": overlap(x, y, w),
    }


def intraclass(values, clusters):
    groups = values.groupby(clusters)
    sizes, n, k = groups.size(), len(values), clusters.nunique()
    if k < 2 or n == k:
        return np.nan
    between = (sizes * (groups.mean() - values.mean()) ** 2).sum() / (k - 1)
    within = ((values - groups.transform("mean")) ** 2).sum() / (n - k)
    typical = (n - (sizes**2).sum() / n) / (k - 1)
    return (between - within) / (between + (typical - 1) * within)


def clustered_error(values, clusters):
    n, k = len(values), clusters.nunique()
    sums = (values - values.mean()).groupby(clusters).sum()
    return np.sqrt(k / (k - 1) * (sums**2).sum()) / n if k > 1 else np.nan


def main(run):
    artifacts = Path(run) / "artifacts"
    said = json.loads((artifacts / "validation.json").read_text())
    nodes = pd.read_parquet(artifacts / "validation.parquet")
    prompts = pd.read_parquet(artifacts / "prompts.parquet").set_index("prompt")
    truth = pd.read_parquet(artifacts / "truth.parquet").merge(
        nodes[NODE + ["stratum", "inclusion_probability"]], on=NODE
    )
    names = list(dict.fromkeys(group["score"] for group in said["groups"]))
    # A prompt without a cluster is one of its own.
    cluster = prompts["cluster"].where(prompts["cluster"].notna(), "row " + prompts.index.astype(str))
    skipped = truth[~truth["ran"]]
    same("rows that were not run whose metric is not the clean one", (skipped["metric_patched"] != skipped["metric_clean"]).sum(), 0)
    truth["cluster"] = truth["prompt"].map(cluster)
    same("clusters", said["clusters"], cluster.nunique())
    first = min(
        next((t for t, (a, b) in enumerate(zip(row.clean_ids, row.corrupted_ids)) if a != b), len(row.clean_ids))
        for row in prompts.itertuples()
    )
    means = truth.groupby(NODE, sort=False)[["effect", *names]].mean().reset_index()
    errors = {name: truth.groupby(NODE, sort=False)[[name, "cluster"]].apply(lambda rows, name=name: clustered_error(rows[name], rows["cluster"])).reset_index(name="error") for name in ["effect", *names]}  # fmt: skip
    table = nodes.drop(columns=["effect", *names]).merge(means, on=NODE)
    written = nodes.merge(means, on=NODE, suffixes=("", "_again"))
    for name in ["effect", *names]:
        for found, expected in zip(written[name], written[f"{name}_again"]):
            same(f"mean {name}", found, expected)
        for found, expected in zip(nodes[f"{name}_sem"], nodes.merge(errors[name], on=NODE)["error"]):
            same(f"standard error of {name}", found, expected)
    enters = (table[["effect", *names]] != 0).any(axis=1) & (table["global"] | (table["position"] >= first))
    table = table[enters]
    for group in said["groups"]:
        check_group(group, table, truth)
    for one in said["unmeasured"]:
        check_unmeasured(one, table)
    for one in said["reliability"]:
        check_likeness(one, truth)
    print(f"{counts['agree']} numbers agree, {counts['differ']} differ")
    return 1 if counts["differ"] > 0 or counts["agree"] == 0 else 0


def members(group, table):
    mine = table[(table["kind"] == group["kind"]) & (table["site"] == group["site"]) & (table["global"] == group["global"])]
    for key in ["layer", "position"]:
        if group.get(key) is not None:
            mine = mine[mine[key] == group[key]]
    return mine


def check_group(group, table, truth):
    mine, name = members(group, table), group["score"]
    label = " ".join(str(group[key]) for key in ["score", "kind", "site", "layer", "position", "global"])
    x, y = mine[name].to_numpy(), mine["effect"].to_numpy()
    w = 1 / mine["inclusion_probability"].to_numpy()
    same(f"{label} n", group["n"], len(mine))
    same(f"{label} frame_size", group["frame_size"], w.sum())
    for block, weights in [(group, np.ones(len(mine))), (group["weighted"], w)]:
        for statistic, expected in statistics(x, y, weights).items():
            same(f"{label} {statistic}", block[statistic]["value"], expected, 1e-7)
    for stratum in group.get("strata", []):
        own = mine[mine["stratum"] == stratum["stratum"]]
        found = statistics(own[name].to_numpy(), own["effect"].to_numpy(), np.ones(len(own)))
        for statistic in ["pearson", "spearman", "sign_agreement", "slope", "off"]:
            same(f"{label} {stratum['stratum']} {statistic}", stratum[statistic], found[statistic], 1e-7)
    if "per_prompt" in group:
        rows = truth.merge(mine[NODE], on=NODE)
        r = [weighted_r(one[name].to_numpy(), one["effect"].to_numpy(), 1 / one["inclusion_probability"].to_numpy()) for _, one in rows.groupby("prompt")]  # fmt: skip
        same(f"{label} median over prompts", group["per_prompt"]["median"], np.nanmedian(r) if len(r) else np.nan, 1e-7)


def check_unmeasured(one, table):
    mine = members(one, table)
    size = mine["effect"].abs().nlargest(10).iloc[-1]
    own = mine[(mine["stratum"] == one["stratum"]) & (mine["inclusion_probability"] < 1)]
    exceeding = (own["effect"].abs() > size).sum()
    layers = own.groupby(["layer", "inclusion_probability"])
    drawn, frame = layers.size(), layers["inclusion_probability"].apply(lambda chance: (1 / chance).sum())
    effective = (drawn * frame.sum() / frame).min()
    same(f"{one['site']} {one['stratum']} size", one["size"], size)
    same(f"{one['site']} {one['stratum']} at most", one["at_most"], min(1, stats.chi2.ppf(0.95, 2 * exceeding + 2) / 2 / effective))


def check_likeness(one, truth):
    rows = members(one, truth)
    means = rows.groupby(NODE, sort=False)["effect"].mean()
    largest = means[means != 0].abs().sort_values(ascending=False, kind="stable").index[:10]
    by_node = dict(list(rows.groupby(NODE, sort=False)))
    found = [intraclass(by_node[key]["effect"].reset_index(drop=True), by_node[key]["cluster"].reset_index(drop=True)) for key in largest]  # fmt: skip
    defined = [value for value in found if np.isfinite(value)]
    expected = np.median(defined) if defined else np.nan
    same(f"{one['kind']} {one['site']} likeness within clusters", one["split_half"]["intraclass_correlation"], expected)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
