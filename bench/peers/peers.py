"""Plain versions of Patchbay's programs: PyTorch, Hugging Face's model and forward hooks, nothing else.

A process that answers requests, one JSON object per line: {"task": "atp"} gives {"units": ..., "seconds": ..., "cpu": ..., "values": [...]}.
Started by run.js as `python peers.py WORK.json`; WORK.json names the folder of the model and SAEs, the prompts, nodes and circuits.

Weights are held without gradients, prompts go through the model a batch at a time, and an SAE site costs one encode for each run and
one decode, so nothing here is slower than it is usually written.
"""

import json
import os
import resource
import sys
import time

work = json.load(open(sys.argv[1]))
os.environ["OMP_NUM_THREADS"] = str(work["threads"])

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM

torch.set_num_threads(work["threads"])
DTYPE = getattr(torch, work.get("dtype", "float32"))
FOLDERS = {"attn_z": "att", "mlp_out": "mlp", "resid_post": "resid"}


class Sae:
    """A JumpReLU SAE in Gemma Scope's layout."""

    def __init__(self, path):
        arrays = np.load(path)
        for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold"):
            setattr(self, name, torch.from_numpy(arrays[name]).to(DTYPE))

    def encode(self, x):
        pre = x @ self.W_enc + self.b_enc
        return pre * ((pre > self.threshold) & (pre > 0))

    def decode(self, f):
        return f @ self.W_dec + self.b_dec


def load_model():
    model = AutoModelForCausalLM.from_pretrained(work["folder"] + "/model", dtype=DTYPE, attn_implementation="eager")
    return model.eval().requires_grad_(False)


def load_saes(layers):
    saes = {}
    for layer in range(layers):
        for site, folder in FOLDERS.items():
            found = f"{work['folder']}/saes/{folder}/layer_{layer}"
            for at, _, files in os.walk(found):
                if "params.npz" in files:
                    saes[site, layer] = Sae(os.path.join(at, "params.npz"))
    return saes


model = load_model()
saes = load_saes(model.config.num_hidden_layers)
sites = list(saes)
prompts = work["prompts"][: work["peerPrompts"]]
clean = torch.tensor([prompt["clean"] for prompt in prompts])
corrupted = torch.tensor([prompt["corrupted"] for prompt in prompts])
correct = torch.tensor([prompt["correct"] for prompt in prompts])
incorrect = torch.tensor([prompt["incorrect"][0] for prompt in prompts])


def run(ids, at_site, count=len(prompts)):
    """The metric of every row (row r is of prompt r % count); `at_site(key, x)` sees each site and may give another activation."""
    handles = []

    def into_o_proj(key):
        return lambda module, inputs: at_site(key, inputs[0])

    def out_of(key):
        def hook(module, inputs, output):
            if not isinstance(output, tuple):
                return at_site(key, output)
            changed = at_site(key, output[0])
            return None if changed is None else (changed, *output[1:])

        return hook

    for layer, block in enumerate(model.model.layers):
        handles.append(block.self_attn.o_proj.register_forward_pre_hook(into_o_proj(("attn_z", layer))))
        handles.append(block.post_feedforward_layernorm.register_forward_hook(out_of(("mlp_out", layer))))
        handles.append(block.register_forward_hook(out_of(("resid_post", layer))))
    try:
        logits = model(ids, use_cache=False).logits[:, -1]
    finally:
        for handle in handles:
            handle.remove()
    rows = torch.arange(len(ids))
    prompt = rows % count
    return logits[rows, incorrect[prompt]] - logits[rows, correct[prompt]]


def activations(ids):
    """Activations of every site."""
    found = {}

    def keep(key, x):
        found[key] = x

    with torch.no_grad():
        run(ids, keep)
    return found


def atp():
    """AtP scores of every feature and error at every site: gradient . (corrupted - clean)."""
    after = activations(corrupted)
    before = {}

    def keep(key, x):
        before[key] = x
        x.retain_grad()

    embedded = model.model.embed_tokens.register_forward_hook(lambda module, inputs, output: output.requires_grad_(True))
    run(clean, keep).sum().backward()
    embedded.remove()
    scores = {}
    with torch.no_grad():
        for key, sae in saes.items():
            x, g, y = before[key].detach(), before[key].grad, after[key]
            df = sae.encode(y) - sae.encode(x)
            features = df * (g @ sae.W_dec.T)
            errors = (g * (y - x - df @ sae.W_dec)).sum(-1)
            scores[key] = (features, errors)
    values = lambda: torch.stack([scores[key][1] for key in sites] + [scores[key][0].sum(-1) for key in sites])
    return len(prompts), values


deltas = {}


def deltas_of(nodes):
    """What each node's patch adds at its position, [prompts, width]. Computed once: the base runs are shared."""
    before, after = activations(clean), activations(corrupted)
    for key, sae in saes.items():
        mine = [node for node in nodes if (node["site"], node["layer"]) == key]
        if not mine:
            continue
        df = sae.encode(after[key]) - sae.encode(before[key])
        de = after[key] - before[key] - df @ sae.W_dec
        for node in mine:
            t, i = node["position"], node["feature"]
            delta = de[:, t] if node["kind"] == "error" else df[:, t, i, None] * sae.W_dec[i]
            deltas[json.dumps(node)] = delta.clone()


def truth(nodes):
    """The metric of every prompt with each node's activation taken from the corrupted run, a node a batch."""
    with torch.no_grad():
        if any(json.dumps(node) not in deltas for node in nodes):
            deltas_of(nodes)
        metrics = []
        for node in nodes:
            delta = deltas[json.dumps(node)]

            def patch(key, x):
                if key != (node["site"], node["layer"]):
                    return None
                x = x.clone()
                x[:, node["position"]] += delta
                return x

            metrics.append(run(clean, patch))
    return len(nodes) * len(prompts), lambda: torch.stack(metrics)


def rank(site, count):
    """The same pseudo-random numbers in [0, 1) as the engine's: node i of the site is kept where its number is small."""
    i = np.arange(count, dtype=np.uint64)
    mixed = ((i + 1) * 2654435761 + 97 * site) % 2**32
    return torch.from_numpy((mixed.astype(np.float64) / 2**32))


kept_means = {}
kept_masks = {}


def masks(part):
    """Which features [T, F] and errors [T, 1] of each site a circuit keeps; made once, in the first turn, which is not in the time."""
    if part not in kept_masks:
        T = clean.shape[1]
        kept_masks[part] = {
            key: (
                (rank(s, T * sae.b_enc.numel()) < part[0]).reshape(T, -1),
                (rank(s + 1000, T) < part[1]).reshape(T, 1),
            )
            for s, (key, sae) in enumerate(saes.items())
        }
    return kept_masks[part]


def circuits(parts):
    """The metric of both sides of every prompt, every node outside the circuit set to its mean."""
    with torch.no_grad():
        few = work["circuitPrompts"]
        if not kept_means:
            kept_means.update(means_of(few))
        both = torch.cat([clean[:few], corrupted[:few]])
        metrics = []
        for part in parts:
            kept = masks(tuple(part))

            def ablate(key, x):
                sae = saes[key]
                keep, keep_error = kept[key]
                mean_f, mean_e = kept_means[key]
                f = sae.encode(x)
                changed = torch.where(keep, f, mean_f)
                # Error kept: x + (f' - f) W. Error ablated: f' W + b + mean error.
                decoded = torch.where(keep_error, changed - f, changed) @ sae.W_dec
                return decoded + torch.where(keep_error, x, mean_e + sae.b_dec)

            metrics.append(run(both, ablate, few))
    return len(parts) * len(both), lambda: torch.stack(metrics)


def means_of(count):
    """Mean activations of every feature and error by position, over the clean and corrupted runs of the first prompts."""
    with torch.no_grad():
        found = activations(torch.cat([clean[:count], corrupted[:count]]))
        result = {}
        for key, sae in saes.items():
            f = sae.encode(found[key])
            result[key] = (f.mean(0), (found[key] - sae.decode(f)).mean(0))
    return result


def means():
    found = means_of(len(prompts))
    values = lambda: torch.stack([found[key][0].sum(-1) for key in sites] + [found[key][1].abs().sum(-1) for key in sites])
    return 2 * len(prompts), values


def timed(work):
    """What `work` gives, and its wall and processor seconds. Values to compare are made afterwards, out of the time, as the engine's are."""
    began, cpu = time.perf_counter(), time.process_time()
    units, values = work()
    return values, {"units": units, "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}


def gemm(m, k, n):
    """GFLOP of five products of that shape, and their time."""
    a, b = torch.ones(m, k), torch.ones(k, n)

    def multiply():
        for _ in range(5):
            a @ b
        return 5 * 2 * m * k * n / 1e9, None

    return timed(multiply)


TASKS = {
    "means": means,
    "atp": atp,
    "truth, error nodes": lambda: truth(work["nodes"]["error"]),
    "truth, feature nodes": lambda: truth(work["nodes"]["feature"]),
    "circuits": lambda: circuits(work["circuits"]["some errors"]),
    "circuits, errors kept": lambda: circuits(work["circuits"]["all errors"]),
}


def main():
    threads = torch.get_num_threads()
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "threads": threads}
    print(json.dumps({"ready": versions}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        task = request["task"]
        values, answer = gemm(*request["shape"]) if task == "gemm" else timed(TASKS[task])
        answer["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        if request.get("values"):
            answer["values"] = values().flatten().tolist()
        del values  # It holds what the task made, whose memory the next one uses.
        print(json.dumps(answer), flush=True)


main()
