"""Writes the adapter that both sides start from, so that their losses can be compared step by step.

    python scripts/bench_peers/make_adapter.py MODEL OUT [--seed 42]

PEFT's own start: rank 8, alpha 16, all linear layers, A drawn by Kaiming's rule, B zero.
"""

import argparse
from pathlib import Path

import measure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    model = measure.with_adapter(measure.load_model(options.model, "f32"), None, "f32", options.seed)
    model.save_pretrained(options.output)


if __name__ == "__main__":
    main()
