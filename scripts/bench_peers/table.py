"""Prints a Markdown table of the works in a folder: medians of both sides, their ratio, and whether the results agree.

    python scripts/bench_peers/table.py FOLDER

FOLDER holds a WORK.peer.jsonl and a WORK.ours.jsonl with a line per round, as scripts/bench_peers.sh writes them.
"""

import json
import statistics
import sys
from pathlib import Path

HEADER = ["work", "peer's settings", "unit", "peer", "ours", "ratio", "peer's memory", "ours", "ratio", "results"]
SPEEDS = {"rows_per_second": "rows/s", "tokens_per_second": "tokens/s"}
# Said where a setting is not at these values.
USUAL = {"threads", "steps", "warmup", "seed", "model", "data", "adapter", "rows", "batch_size", "limit", "show", "new_tokens"}
USUAL |= {"learning_rate", "lr_scheduler_type", "length"}


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def median(lines, key):
    return statistics.median(line[key] for line in lines)


def settings_of(line):
    """Returns the settings that a reader must know to repeat the figure."""
    said = []
    for key, value in line["settings"].items():
        if key in USUAL or value is None or value is False:
            continue
        name = key.replace("_", " ")
        said.append(name if value is True else value if key == "dtype" else f"{name} {value}")
    return ", ".join(map(str, said))


def agreement(peer, ours):
    """Returns how far apart the results of the two sides are."""
    if "losses" in peer and "losses" in ours:
        differences = [abs(a - b) for a, b in zip(peer["losses"], ours["losses"])]
        return f"losses of {len(differences)} steps within {max(differences):.1e}"
    if "texts" in peer and "texts" in ours:
        pairs = list(zip(peer["texts"], ours["texts"]))
        return f"{sum(a.strip() == b.strip() for a, b in pairs)} of {len(pairs)} answers are the same"
    if "tokens" in peer and "tokens" in ours:
        return "the same number of tokens" if peer["tokens"] == ours["tokens"] else f"{peer['tokens']} and {ours['tokens']} tokens"
    return "–"


def gigabytes(size):
    return f"{size / 1e9:.2f} GB"


def row_of(name, peer, ours):
    key = next((key for key in SPEEDS if key in peer[0]), None)
    speed, memory = median(peer, key), median(peer, "peak_memory_bytes")
    row = [name, settings_of(peer[0]), SPEEDS[key], f"{speed:,.2f}"]
    if not ours:
        return row + ["–", "–", gigabytes(memory), "–", "–", "–"]
    our_speed, our_memory = median(ours, key), median(ours, "peak_memory_bytes")
    row += [f"{our_speed:,.2f}", f"{our_speed / speed:.2f} ×"]
    row += [gigabytes(memory), gigabytes(our_memory), f"1/{memory / our_memory:.1f}", agreement(peer[0], ours[0])]
    return row


def print_table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def print_products(peer, ours):
    """Prints the products side by side, where ours have a figure for the same shape."""
    peer = peer[-1]
    rows = []
    found = {(row["dtype"], row["tokens"], row["in"], row["out"]): row for row in (ours[-1]["products"] if ours else [])}
    for dtype in ("f32", "bf16"):
        if dtype not in peer:
            continue
        blocks = [f"a block at {tokens} tokens {speed:.1f}" for tokens, speed in peer[dtype]["block_gflops"].items()]
        print(f"\ntorch, {dtype}, GFLOP/s: ceiling {peer[dtype]['ceiling_gflops']:.1f}, {', '.join(blocks)}")
        for row in peer[dtype]["products"]:
            match = found.get((dtype, row["tokens"], row["in"], row["out"]), {})
            directions = [(row[key], match.get(key)) for key in ("forward_gflops", "backward_gflops")]
            cells = ["–" if speed is None else f"{speed:.1f}" for pair in directions for speed in pair]
            rows.append([row["layer"], dtype, row["tokens"], row["in"], row["out"], *cells])
    print()
    header = ["product, GFLOP/s", "dtype", "tokens", "in", "out", "torch forward", "ours", "torch backward", "ours"]
    print_table(header, rows)


def main():
    folder = Path(sys.argv[1])
    works = sorted(folder.glob("*.peer.jsonl"), key=lambda path: path.stat().st_ctime)
    rows, products = [], None
    for path in works:
        name = path.name.removesuffix(".peer.jsonl")
        peer, ours = lines_of(path), lines_of(folder / f"{name}.ours.jsonl")
        if not peer:
            continue
        if peer[0]["work"] == "linear":
            products = peer, ours
        else:
            rows.append(row_of(name, peer, ours))
    if rows:
        print_table(HEADER, rows)
    if products:
        print_products(*products)


if __name__ == "__main__":
    main()
