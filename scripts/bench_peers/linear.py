"""Times torch.nn.functional.linear at every shape of the training step, and the fastest product torch has here.

    python scripts/bench_peers/linear.py --model MODEL [--tokens 1024 192] [--dtypes f32 bf16]

Forward is x Wᵀ, backward g W: a frozen weight needs no gradient of its own. Figures are medians in GFLOP/s.
"""

import json
from pathlib import Path

import torch
from torch.nn.functional import linear

import measure


def shapes_of(folder):
    """Returns the (in, out) of the frozen layers, each once, by name."""
    config = json.loads((folder / "config.json").read_text())
    width, heads = config["hidden_size"], config["num_attention_heads"]
    head = config.get("head_dim") or width // heads
    return {
        "q_proj": (width, heads * head),
        "k_proj, v_proj": (width, config["num_key_value_heads"] * head),
        "o_proj": (heads * head, width),
        "gate_proj, up_proj": (width, config["intermediate_size"]),
        "down_proj": (config["intermediate_size"], width),
        "lm_head": (width, config["vocab_size"]),
    }


def gflops(product, flop, seconds):
    """Returns the speed of a product that is repeated for about `seconds`."""
    once = measure.median_seconds(product, 1)
    repeats = min(int(seconds / once), 200)
    # A product that takes longer is timed once: where a format has no instructions, it is slow by a factor.
    return flop / (measure.median_seconds(product, repeats, warmup=0) if repeats > 2 else once) / 1e9


def speeds(shapes, tokens, dtype, seconds):
    """Returns one row per shape, token count and direction."""
    rows = []
    for count in tokens:
        for name, (width_in, width_out) in shapes.items():
            flop = 2 * count * width_in * width_out
            weight = torch.randn(width_out, width_in, dtype=dtype) * 0.02
            x, g = (torch.randn(count, width, dtype=dtype) for width in (width_in, width_out))
            row = {"layer": name, "tokens": count, "in": width_in, "out": width_out}
            row["forward_gflops"] = gflops(lambda: linear(x, weight), flop, seconds)
            row["backward_gflops"] = gflops(lambda: g @ weight, flop, seconds)
            rows.append(row)
    return rows


def ceiling(dtype, seconds):
    """Returns the fastest of some large products, which no training shape exceeds by much."""
    speed = 0.0
    for size in (1024, 2048, 3072):
        if speed and 2 * size**3 / speed / 1e9 > 2.0:
            break  # Slow by a factor already, and a larger one would take minutes.
        a, b, out = (torch.randn(size, size, dtype=dtype) for _ in range(3))
        # Into a given output, so that the allocator has no part in it.
        speed = max(speed, gflops(lambda: torch.mm(a, b.t(), out=out), 2 * size**3, seconds))
        speed = max(speed, gflops(lambda: torch.mm(a, b, out=out), 2 * size**3, seconds))
    return speed


def total(rows, tokens):
    """Returns the speed over all frozen products of one block, forward and backward, in GFLOP/s."""
    flop = seconds = 0.0
    for row in rows:
        if row["tokens"] != tokens or row["layer"] == "lm_head":
            continue
        layers = row["layer"].count(",") + 1
        work = layers * 2 * tokens * row["in"] * row["out"] / 1e9
        flop += 2 * work
        seconds += work / row["forward_gflops"] + work / row["backward_gflops"]
    return flop / seconds


@torch.no_grad()
def main():
    parser = measure.options_of(__doc__, steps=0, warmup=0)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 192])
    parser.add_argument("--dtypes", nargs="+", choices=measure.DTYPES, default=measure.DTYPES)
    parser.add_argument("--seconds", type=float, default=0.4, help="time spent on each figure")
    options = parser.parse_args()
    measure.set_threads(options.threads)
    torch.manual_seed(options.seed)
    figures = {}
    for name in options.dtypes:
        dtype = measure.dtype_of(name)
        rows = speeds(shapes_of(options.model), options.tokens, dtype, options.seconds)
        blocks = {str(count): total(rows, count) for count in options.tokens}
        figures[name] = {"ceiling_gflops": ceiling(dtype, options.seconds), "block_gflops": blocks, "products": rows}
    measure.report("linear", options, **figures)


if __name__ == "__main__":
    main()
