"""Writes a Hugging Face folder with the shape of a published model and random weights, so that no hub is needed.

    python scripts/bench_peers/make_model.py OUT --tokenizer DIR [--shape smollm2-135m|qwen2.5-0.5b] [--seed 7]

DIR holds the model's tokenizer.json and, where there is one, tokenizer_config.json with the chat template. Speed and
memory do not depend on the weights' values; losses of two programs can be compared as they start from the same ones.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

SHAPES = {
    "smollm2-135m": {
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "vocab_size": 49152,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
    },
    # As a Llama model, whose `attention_bias` also biases o_proj, which Qwen2 does not.
    "qwen2.5-0.5b": {
        "hidden_size": 896,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "intermediate_size": 4864,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
        "attention_bias": True,
    },
}
END_OF_TURN = "<|im_end|>"
# The settings and the template that SmolLM2-135M-Instruct is published with, for a folder that has none.
SMOLLM2_SETTINGS = {
    "bos_token": "<|im_start|>",
    "eos_token": END_OF_TURN,
    "pad_token": END_OF_TURN,
    "unk_token": "<|endoftext|>",
    "add_prefix_space": False,
    "clean_up_tokenization_spaces": False,
    "model_max_length": 8192,
    "tokenizer_class": "PreTrainedTokenizerFast",
    "chat_template": (
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
        "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
}


def write_tokenizer(source, folder, vocabulary):
    """Copies the tokenizer and its settings, and returns it."""
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    settings = source / "tokenizer_config.json"
    if settings.exists():
        shutil.copyfile(settings, folder / "tokenizer_config.json")
    else:
        (folder / "tokenizer_config.json").write_text(json.dumps(SMOLLM2_SETTINGS, indent=2) + "\n")
    template = source / "chat_template.jinja"
    if template.exists():
        shutil.copyfile(template, folder / template.name)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.get_vocab_size() <= vocabulary, f"{source}: more than {vocabulary} tokens"
    return tokenizer


def deviation_of(name):
    """Returns the standard deviation of a tensor's weights."""
    # Were queries and keys as small as the rest, attention would be even over all tokens, and every prompt would get the
    # same answer: nothing would tell a wrong cache from a right one.
    return 0.08 if "q_proj" in name or "k_proj" in name else 0.02


def write_model(folder, shape, end_of_turn, seed):
    """Writes config.json, generation_config.json and the weights in bf16, and returns how many weights there are."""
    config = LlamaConfig(
        **SHAPES[shape],
        tie_word_embeddings=True,
        initializer_range=0.02,
        bos_token_id=None,
        eos_token_id=end_of_turn,
        # transformers zeroes the embedding of a padding token, and a row of zeros is nothing a real model has.
        pad_token_id=None,
        dtype="bfloat16",
    )
    model = LlamaForCausalLM(config).bfloat16()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.endswith("norm.weight"):
                # Drawn in f32: a bf16 draw has fewer distinct values.
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation_of(name))
    model.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    tokenizer = write_tokenizer(options.tokenizer, options.output, SHAPES[options.shape]["vocab_size"])
    weights = write_model(options.output, options.shape, tokenizer.token_to_id(END_OF_TURN), options.seed)
    print(json.dumps({"work": "make_model", "shape": options.shape, "weights": weights, "output": str(options.output)}))


if __name__ == "__main__":
    main()
