"""Runs a tunewise command and prints its figures under the names that the peers' scripts use, as one line of JSON.

    python scripts/bench_peers/ours.py step|rows|answers|prepare|products [--warmup W] [--batch-size N] -- COMMAND...

The peak memory is that of the whole process, as the operating system counts it for the peers too.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path


def run(command):
    """Returns the object that the command prints last, its wall time in seconds and its peak memory in bytes."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Read by two threads at once, so that a full pipe of messages cannot stop the command.
    out, messages = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{messages}")
    return json.loads(out.splitlines()[-1]), seconds


def peak_memory_bytes():
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def step(summary, **_):
    # The command's own count: the products that it times besides need memory that a step does not.
    return {key: summary["train_step"][key] for key in ("tokens_per_second", "peak_memory_bytes")}


def products(summary, **_):
    """Returns one row per shape of a layer, with both directions, as linear.py has them."""
    rows = {}
    for product in summary["products"]:
        direction, k, n = product["direction"], product["k"], product["n"]
        width_in, width_out = (k, n) if direction == "forward" else (n, k)
        key = product["tokens"], width_in, width_out
        row = rows.setdefault(key, dict(zip(("tokens", "in", "out"), key), dtype=summary["dtype"]))
        row[f"{direction}_gflops"] = product["gflops"]
    return {"products": list(rows.values()), "ceiling_gflops": summary["ceiling_gflops"]}


def rows(summary, options, **_):
    """Returns the figures of the steps after the warm-up, from the adapter folder's `metrics.jsonl`."""
    lines = [json.loads(line) for line in (Path(summary["adapter"]) / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    counts = [line["num_tokens"] for line in steps]
    tokens = [count - before for count, before in zip(counts, [0] + counts)]
    seconds = [count / line["tokens_per_second"] for count, line in zip(tokens, steps)]
    measured = seconds[options.warmup :]
    return {
        "rows_per_second": options.batch_size / statistics.median(measured),
        "mean_rows_per_second": options.batch_size * len(measured) / sum(measured),
        "tokens_per_second": sum(tokens[options.warmup :]) / sum(measured),
        "step_seconds": seconds,
        "tokens": tokens,
        "losses": [line["loss"] for line in steps],
    }


def answers(summary, **_):
    lines = Path(summary["output"]).read_text().splitlines()
    return {
        "rows_per_second": summary["rows"] / summary["seconds"],
        "rows_measured": summary["rows"],
        "prompt_tokens": summary["prompt_tokens"] / summary["rows"],
        "new_tokens": summary["completion_tokens"] / summary["rows"],
        "texts": [json.loads(line)["completion"] for line in lines],
    }


def prepare(summary, seconds, **_):
    """Returns the speed over the files, whose clock starts once the tokenizer is loaded, as the peer's does."""
    tokens = sum(file["tokens"]["total"] for file in summary["files"])
    return {
        "rows_per_second": summary["rows"] / sum(file["seconds"] for file in summary["files"]),
        "whole_command_rows_per_second": summary["rows"] / seconds,
        "rows": summary["rows"],
        "tokens": tokens,
    }


KINDS = {read.__name__: read for read in (step, rows, answers, prepare, products)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--warmup", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    summary, seconds = run(options.command)
    figures = KINDS[options.kind](summary, options=options, seconds=seconds)
    line = {"work": options.kind, "peak_memory_bytes": peak_memory_bytes(), "wall_seconds": seconds, **figures}
    line["settings"] = {"command": " ".join([os.path.basename(options.command[0]), *options.command[1:]])}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
