"""The cases of tests/golden: which models, which adapters, which training runs, which texts."""

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def sizes(hidden, heads, kv_heads, layers, vocab, mlp, **more):
    """Returns LlamaConfig arguments; `more` overrides the defaults."""
    return {
        "hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "num_hidden_layers": layers, "vocab_size": vocab, "intermediate_size": mlp,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2,
        "tie_word_embeddings": False, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}, **more,
    }  # fmt: skip


def rope(theta, **scaling):
    return {"rope_type": "default", **scaling, "rope_theta": theta}


# `type_key`: the key of the rope type in an older-style `rope_scaling`; absent: keys as transformers 5 writes them.
# `absent`: keys that older files do not have. `shard`: the largest shard.
MODELS = {
    "mha_untied": {
        "sizes": sizes(32, 4, 4, 2, 64, 48), "type_key": "rope_type",
        "absent": ["num_key_value_heads", "head_dim", "attention_bias", "mlp_bias", "rope_scaling"],
    },
    "gqa2_tied": {
        "sizes": sizes(24, 4, 2, 3, 80, 40, tie_word_embeddings=True, rope_parameters=rope(500000.0)),
        "type_key": "rope_type",
    },
    "gqa4_attention_bias": {"sizes": sizes(32, 8, 2, 2, 72, 40, attention_bias=True), "type_key": "rope_type"},
    "mqa_mlp_bias": {
        "sizes": sizes(24, 4, 1, 2, 64, 40, mlp_bias=True, tie_word_embeddings=True, rms_norm_eps=1e-2,
                       rope_parameters=rope(1000.0)),
        "type_key": "rope_type",
    },
    "wide_head_both_biases": {
        "sizes": sizes(24, 4, 2, 2, 97, 44, head_dim=10, attention_bias=True, mlp_bias=True), "type_key": "rope_type",
    },
    "rope_linear": {
        "sizes": sizes(24, 4, 2, 2, 64, 40, tie_word_embeddings=True,
                       rope_parameters=rope(10000.0, rope_type="linear", factor=4.0)),
        "type_key": "type",
    },
    "rope_llama3": {
        "sizes": sizes(32, 2, 1, 2, 64, 40, tie_word_embeddings=True,
                       rope_parameters=rope(1000.0, **LLAMA3, original_max_position_embeddings=32)),
        "type_key": "rope_type",
    },
    "rope_parameters_llama3": {
        "sizes": sizes(24, 4, 4, 2, 72, 40, head_dim=8,
                       rope_parameters=rope(10000.0, **LLAMA3, original_max_position_embeddings=16)),
    },
    "sharded_linear": {
        "sizes": sizes(24, 4, 2, 2, 64, 40, rope_parameters=rope(50000.0, rope_type="linear", factor=2.0)),
        "shard": "22KB",
    },
    "bfloat16": {
        "sizes": sizes(48, 6, 3, 2, 96, 64, tie_word_embeddings=True), "type_key": "rope_type", "dtype": "bfloat16",
    },
}  # fmt: skip


def steps_case(model, lora, rows, batch, accumulation, lr, clip, decay=0.0):
    return {"model": model, "lora": lora, "rows": rows, "batch": batch, "accumulation": accumulation,
            "lr": lr, "clip": clip, "decay": decay}  # fmt: skip


ALL_LINEAR = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}
PATTERNS = {
    "r": 4, "lora_alpha": 6, "use_rslora": True,
    "rank_pattern": {"q_proj": 2, "layers.1.mlp.down_proj": 6},
    "alpha_pattern": {"down_proj": 9, r"layers\.0\.self_attn\.v_proj": 3},
}  # fmt: skip
STEPS = {
    "accumulate_1": steps_case("gqa2_tied", ALL_LINEAR, 7, 2, 1, 2e-3, 22.0),
    "accumulate_4": steps_case("gqa4_attention_bias", ALL_LINEAR, 13, 2, 4, 3e-3, 6.0),
    "mqa_decay": steps_case("mqa_mlp_bias", {**ALL_LINEAR, "lora_alpha": 4}, 8, 3, 2, 1e-3, 6.0, 0.1),
    "rslora_patterns": steps_case(
        "wide_head_both_biases", {**PATTERNS, "target_modules": ["q_proj", "v_proj", "down_proj"]}, 6, 2, 2, 5e-3, 5.5),
    "regex_decay": steps_case(
        "rope_parameters_llama3",
        {"r": 3, "lora_alpha": 12, "target_modules": r".*\.1\.(self_attn\.[qk]_proj|mlp\.(up|gate)_proj)"},
        5, 2, 1, 1e-3, 5.0, 0.1),
}  # fmt: skip
LOADS = {
    "scale_two": ("gqa2_tied", ALL_LINEAR),
    "rslora_patterns": ("wide_head_both_biases", {**PATTERNS, "target_modules": ["q_proj", "v_proj", "o_proj", "down_proj"]}),
    "layers_to_transform": (
        "gqa2_tied", {"r": 4, "lora_alpha": 12, "target_modules": ["q_proj", "o_proj", "up_proj"], "layers_to_transform": [0, 2]}),
    "exclude_names": (
        "mha_untied", {"r": 2, "lora_alpha": 3, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "down_proj"],
                       "exclude_modules": ["k_proj", "layers.1.mlp.down_proj"]}),
    "exclude_pattern": (
        "rope_linear", {"r": 4, "lora_alpha": 2, "target_modules": "all-linear", "exclude_modules": r".*layers\.0\.mlp\..*"}),
}  # fmt: skip

TEXT_RULE = (
    "ids = [bos_token_id] + tokenizer.json's ids without special tokens + [eos_token_id], both of config.json; every "
    "id but the first is supervised; ids_sha256 is of the ids in decimal, joined by commas; near_ties counts "
    "supervised tokens whose two best logits differ by less than 1e-3"
)
SOURCES = {
    "plain_text": "data/plain_text/input.txt split at '\\n\\n', pieces of at least 40 characters, the first 64, each cut to 200",
    "gsm8k": "data/gsm8k/test.jsonl, the first 64 lines, messages[0].content (the user's), each cut to 200 characters",
}
