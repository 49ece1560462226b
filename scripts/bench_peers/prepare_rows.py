"""Times the way from chat JSONL to token ids: datasets.load_dataset, the chat template, the tokenizer; no cache.

    python scripts/bench_peers/prepare_rows.py --model MODEL --data train.jsonl [--processes 2] [--batched]
"""

import resource
import tempfile
from pathlib import Path

import measure


def render(messages, tokenizer):
    """Returns the text of one conversation, or of a list of them."""
    return tokenizer.apply_chat_template(messages, tokenize=False)


def prepare(options, tokenizer):
    """Returns the tokenized rows, read and mapped in an empty cache."""
    from datasets import load_dataset

    def tokenize(row):
        return {"input_ids": tokenizer(render(row["messages"], tokenizer), add_special_tokens=False)["input_ids"]}

    with tempfile.TemporaryDirectory() as cache:
        rows = load_dataset("json", data_files=str(options.data), split="train", cache_dir=cache)
        processes = options.processes if options.processes > 1 else None
        rows = rows.map(
            tokenize,
            batched=options.batched,
            num_proc=processes,
            remove_columns=rows.column_names,
            load_from_cache_file=False,
        )
        return len(rows), sum(map(len, rows["input_ids"]))


def main():
    parser = measure.options_of(__doc__, steps=3, warmup=0)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batched", action="store_true", help="a thousand rows to a call")
    options = parser.parse_args()
    import datasets
    from transformers import AutoTokenizer

    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    counts = []
    seconds = measure.median_seconds(lambda: counts.append(prepare(options, tokenizer)), options.steps, options.warmup)
    rows, tokens = counts[-1]
    # The largest process alone, in the peer's favour: a sum would count the pages that they share twice.
    peak = max(measure.peak_memory_bytes(), measure.peak_memory_bytes(resource.RUSAGE_CHILDREN))
    measure.report(
        "prepare_rows",
        options,
        rows_per_second=rows / seconds,
        peak_memory_bytes=peak,
        rows=rows,
        tokens=tokens,
        seconds=seconds,
    )


if __name__ == "__main__":
    main()
