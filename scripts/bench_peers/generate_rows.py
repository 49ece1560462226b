"""Times transformers' generate on chat rows that end in a question: greedy, a fixed number of new tokens.

    python scripts/bench_peers/generate_rows.py --model MODEL --rows ROWS.jsonl [--dtype bf16] [--prefix-cache]

ROWS.jsonl is what few_shot_rows.py writes. With --prefix-cache the tokens that all rows begin with are computed once.
"""

import copy
import json
from pathlib import Path

import torch

import measure


def prompts_of(path, tokenizer):
    """Returns the token ids of each prompt, the assistant's header behind it."""
    prompts = []
    with open(path) as lines:
        for line in lines:
            text = tokenizer.apply_chat_template(json.loads(line)["messages"], tokenize=False, add_generation_prompt=True)
            prompts.append(tokenizer(text, add_special_tokens=False)["input_ids"])
    return prompts


def shared_prefix(prompts):
    """Returns how many tokens all prompts begin with, at least one of each left out."""
    length = min(map(len, prompts)) - 1
    return next((at for at in range(length) if len({prompt[at] for prompt in prompts}) > 1), length)


def padded(prompts, prefix, pad):
    """Returns ids and attention mask; the padding stands between the shared prefix and the rest."""
    width = max(map(len, prompts))
    ids = [prompt[:prefix] + [pad] * (width - len(prompt)) + prompt[prefix:] for prompt in prompts]
    mask = [[1] * prefix + [0] * (width - len(prompt)) + [1] * (len(prompt) - prefix) for prompt in prompts]
    return torch.tensor(ids), torch.tensor(mask)


def prefix_cache(model, prompt, prefix):
    """Returns the keys and values of the shared prefix, computed once."""
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    model.model(input_ids=torch.tensor([prompt[:prefix]]), past_key_values=cache, use_cache=True)
    return cache


@torch.inference_mode()
def answer(model, prompts, options, pad):
    """Returns the new token ids of each prompt."""
    prefix = shared_prefix(prompts) if options.prefix_cache else 0
    cache = prefix_cache(model, prompts[0], prefix) if prefix else None
    answers = []
    for start in range(0, len(prompts), options.batch_size):
        batch = prompts[start : start + options.batch_size]
        ids, mask = padded(batch, prefix, pad)
        named = {}
        if cache is not None:
            # generate appends to the cache it is given.
            named["past_key_values"] = copy.deepcopy(cache)
            named["past_key_values"].batch_repeat_interleave(len(batch))
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=False,
            min_new_tokens=options.new_tokens,
            max_new_tokens=options.new_tokens,
            pad_token_id=pad,
            **named,
        )
        answers += out[:, ids.shape[1] :].tolist()
    return answers


def main():
    parser = measure.options_of(__doc__, steps=1, warmup=1)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=8)
    parser.add_argument("--prefix-cache", action="store_true")
    parser.add_argument("--limit", type=int, help="only the first rows")
    parser.add_argument("--show", type=int, default=8, help="rows whose answers are printed")
    options = parser.parse_args()
    measure.set_threads(options.threads)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = measure.load_model(options.model, options.dtype).eval()
    if options.compile:
        model.forward = torch.compile(model.forward, dynamic=True)
    prompts = prompts_of(options.rows, tokenizer)[: options.limit]
    pad = tokenizer.pad_token_id
    # Two batches warm up: compiling, and the allocator's first touch of its pages.
    for _ in range(options.warmup):
        answer(model, prompts[: 2 * options.batch_size], options, pad)
    answers = []
    seconds = measure.median_seconds(lambda: answers.append(answer(model, prompts, options, pad)), options.steps, warmup=0)
    shown = answers[-1][: options.show]
    measure.report(
        "generate_rows",
        options,
        rows_per_second=len(prompts) / seconds,
        rows_measured=len(prompts),
        prompt_tokens=sum(map(len, prompts)) / len(prompts),
        shared_prefix_tokens=shared_prefix(prompts),
        answers=shown,
        texts=[tokenizer.decode(ids, skip_special_tokens=True) for ids in shown],
    )


if __name__ == "__main__":
    main()
