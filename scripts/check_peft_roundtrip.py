"""Compares logits written by tunewise with those of Hugging Face transformers and PEFT.

    python scripts/check_peft_roundtrip.py MODEL_DIR ADAPTER_DIR IDS_JSON [--save OUT.json] [--generate N]

ADAPTER_DIR is `-` for a folder without an adapter (a merged export). IDS_JSON holds one object or a list of them:

    {"ids": [1, 5, 9], "logits": [[...], ...]}

`logits` has a line per position, or per last positions when it has fewer; without it nothing is compared.
Exit code 1 when a logit differs by more than --tolerance, or when the adapter does not load key by key.
For the packages see scripts/make_golden.py.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import PeftModel, load_peft_weights
from transformers import AutoModelForCausalLM, logging


def load_adapter(model, folder):
    """Returns the model with the adapter, or exits naming the keys that one side has and the other has not."""
    model = PeftModel.from_pretrained(model, folder)
    written = load_peft_weights(folder, device="cpu")
    expected = {name.replace(".default", "") for name, _ in model.named_parameters() if "lora_" in name}
    if expected != set(written):
        sys.exit(f"adapter keys differ: missing {sorted(expected - set(written))}, unknown {sorted(set(written) - expected)}")
    return model


@torch.no_grad()
def logits_of(model, ids):
    return model(input_ids=torch.tensor([ids])).logits[0]


def greedy(model, ids, count):
    """Returns `count` tokens, each the likeliest after all before it."""
    ids = list(ids)
    for _ in range(count):
        ids.append(logits_of(model, ids)[-1].argmax().item())
    return ids[-count:]


def compare(index, logits, row):
    """Returns the largest absolute difference, NaN where the row's logits are not finite or misshapen."""
    if "logits" not in row:
        return 0.0
    ours = torch.tensor(row["logits"], dtype=torch.float32)
    if ours.dim() != 2 or len(ours) > len(logits) or ours.shape[1] != logits.shape[1] or not ours.isfinite().all():
        print(f"row {index}: {tuple(ours.shape)} finite logits cannot be compared with {tuple(logits.shape)}")
        return float("nan")
    difference = (ours - logits[-len(ours) :]).abs().max().item()
    print(f"row {index}: {len(ours)} positions, largest difference {difference:.3e}")
    return difference


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("adapter", help="PEFT folder, or `-` for none")
    parser.add_argument("ids", type=Path, help="JSON with ids, and logits to compare")
    parser.add_argument("--save", type=Path, help="writes transformers' ids and logits in the same format")
    parser.add_argument("--generate", type=int, default=0, metavar="N", help="greedy tokens after each row's ids")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)

    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32, attn_implementation="eager").eval()
    if options.adapter != "-":
        model = load_adapter(model, options.adapter).eval()
    rows = json.loads(options.ids.read_text())
    rows = rows if isinstance(rows, list) else [rows]
    answers, differences = [], []
    for index, row in enumerate(rows):
        logits = logits_of(model, row["ids"])
        differences.append(compare(index, logits, row))
        answer = {"ids": row["ids"], "logits": logits.tolist()}
        if options.generate:
            answer["generated"] = greedy(model, row["ids"], options.generate)
            print(f"row {index}: generated {answer['generated']}")
        answers.append(answer)
    if options.save:
        options.save.write_text(json.dumps(answers) + "\n")
    elif not any("logits" in row for row in rows):
        print(json.dumps(answers))
    # NaN is not within the tolerance either.
    sys.exit(0 if all(difference <= options.tolerance for difference in differences) else 1)


if __name__ == "__main__":
    main()
