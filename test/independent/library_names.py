"""Says which hooks TransformerLens and SAELens have on a small Gemma 2 of random weights, and the shape that each gives.

    pip install transformer-lens sae-lens
    python3 test/independent/library_names.py

It prints {"versions", "sizes", "hooks"} of layer 1 as JSON; a hook's shape is [batch, position, ...]. It ends with 3 where a library is
missing, and names it. HookedTransformer left TransformerLens with version 4; SAELens 6 needs a version before that.
"""

import importlib
import importlib.metadata
import json
import sys

SIZES = {"layers": 2, "positions": 5, "d_model": 48, "n_heads": 4, "d_head": 16, "d_mlp": 96, "d_sae": 12}
LAYER = 1
SITES = {"attn.hook_z": "d_z", "hook_mlp_out": "d_model", "hook_resid_post": "d_model"}


def library(name):
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        print(f"{name} cannot be imported: {missing}", file=sys.stderr)
        sys.exit(3)


torch = library("torch")
transformer_lens = library("transformer_lens")
sae_lens = library("sae_lens")


def model_config():
    return transformer_lens.HookedTransformerConfig(
        n_layers=SIZES["layers"],
        d_model=SIZES["d_model"],
        n_heads=SIZES["n_heads"],
        n_key_value_heads=2,
        d_head=SIZES["d_head"],
        d_mlp=SIZES["d_mlp"],
        d_vocab=11,
        n_ctx=8,
        act_fn="gelu_pytorch_tanh",
        normalization_type="RMS",
        positional_embedding_type="rotary",
        rotary_dim=SIZES["d_head"],
        gated_mlp=True,
        use_normalization_before_and_after=True,
        attn_scores_soft_cap=50.0,
        output_logits_soft_cap=30.0,
        final_rms=True,
        device="cpu",
        seed=0,
    )


def sae_at(hook, width):
    config = sae_lens.JumpReLUSAEConfig(
        d_in=width,
        d_sae=SIZES["d_sae"],
        apply_b_dec_to_input=False,
        reshape_activations="hook_z" if hook.endswith("hook_z") else "none",
        metadata=sae_lens.saes.sae.SAEMetadata(hook_name=hook),
    )
    sae = sae_lens.JumpReLUSAE(config, use_error_term=True)
    if hook.endswith("hook_z"):
        sae.turn_on_forward_pass_hook_z_reshaping()
    return sae


def shapes(cache):
    return {name: list(value.shape) for name, value in cache.items() if name.startswith(f"blocks.{LAYER}.")}


def main():
    widths = {"d_model": SIZES["d_model"], "d_z": SIZES["n_heads"] * SIZES["d_head"]}
    model = sae_lens.HookedSAETransformer(model_config())
    tokens = torch.arange(SIZES["positions"])[None]
    _, plain = model.run_with_cache(tokens)
    saes = [sae_at(f"blocks.{LAYER}.{tail}", widths[width]) for tail, width in SITES.items()]
    _, spliced = model.run_with_cache_with_saes(tokens, saes=saes)
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformer-lens", "sae-lens")}
    print(json.dumps({"versions": versions, "sizes": SIZES, "hooks": {**shapes(plain), **shapes(spliced)}}))


main()
