"""Writes the golden fixtures under tests/golden with Hugging Face transformers and PEFT.

The Rust tests read the fixtures and need no Python. To write them again:

    python3 -m venv /tmp/oracle
    /tmp/oracle/bin/pip install -r scripts/requirements-oracle.txt
    /tmp/oracle/bin/python scripts/make_golden.py            # everything
    /tmp/oracle/bin/python scripts/make_golden.py configs    # one part (peft_steps, peft_load, real)
    /tmp/oracle/bin/python scripts/check_golden.py           # recomputes, and shows that wrong variants differ

What is written:

    configs/<name>/     a tiny random Llama, and what it answers (expected.json)
    peft_steps/<case>/  an adapter before (start/) and after (expected/) ten AdamW steps
    peft_load/<case>/   an adapter, and what the model answers with it, beside it and merged
    real/*.json         figures of real models on real text; needs --shared, skipped without it

Everything is float32 on one thread. A row is {"ids", "supervised"}: the loss at a supervised index i
is -log p(ids[i] | ids[..i]) in nats. Changing a seed or a size changes the fixtures.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import peft
import safetensors
import tokenizers
import torch
import transformers
from golden_cases import LOADS, MODELS, SOURCES, STEPS, TEXT_RULE
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

ROW_LENGTHS = [5, 17, 33, 60]


def write_json(path, value):
    """Writes an object with a line per entry, and a line per element of a list of objects or lists."""

    def entry(item):
        if isinstance(item, list) and item and isinstance(item[0], (dict, list)):
            return "[\n  " + ",\n  ".join(json.dumps(element) for element in item) + "\n ]"
        return json.dumps(item)

    text = ",\n".join(f" {json.dumps(key)}: {entry(item)}" for key, item in value.items())
    path.write_text("{\n" + text + "\n}\n")


def fresh(folder):
    """Returns the folder, new and empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def seeded(name):
    """Returns a generator whose seed is the name's, so that adding a fixture leaves the others alone."""
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little"))


def load_model(folder, **changes):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **changes).eval()


def logits_of(model, ids):
    return model(input_ids=torch.tensor([ids])).logits[0]


@torch.no_grad()
def score(model, row):
    """Returns the row's NLL (nats, float64 of the float32 logits), right guesses, near ties and last logits."""
    logits = logits_of(model, row["ids"])
    at = torch.tensor(row["supervised"])
    before, target = logits[at - 1], torch.tensor(row["ids"])[at]
    top = before.topk(2).values
    return {
        "nll": -before.double().log_softmax(-1).gather(1, target[:, None]).sum().item(),
        "correct": int((before.argmax(-1) == target).sum()),
        "near_ties": int((top[:, 0] - top[:, 1] < 1e-3).sum()),
        "last_logits": [float(f"{value:.9g}") for value in logits[-1, :8].tolist()],
    }


@torch.no_grad()
def draw_row(model, length, draw, dense):
    """Returns a row of which the model would guess about two tokens in five right; `dense` supervises all of it."""
    ids = [1]
    while len(ids) < length:
        likely = torch.rand(1, generator=draw).item() < 0.4
        any_token = torch.randint(3, model.config.vocab_size, (1,), generator=draw).item()
        ids.append(logits_of(model, ids)[-1].argmax().item() if likely else any_token)
    share = 1.0 if dense else 0.2 + 0.6 * torch.rand(1, generator=draw).item()
    picks = torch.rand(length, generator=draw) < share
    return {"ids": ids, "supervised": [i for i in range(1, length) if picks[i] or i == length - 1]}


def draw_rows(model, lengths, draw):
    """Returns rows without near ties, so that the count of right guesses does not hang on rounding."""
    rows = []
    while len(rows) < len(lengths):
        row = draw_row(model, lengths[len(rows)], draw, dense=len(rows) == 1)
        if score(model, row)["near_ties"] == 0:
            rows.append(row)
    return rows


def randomize(model, draw):
    """Draws weights wide enough that attention and the outputs are far from uniform."""
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=draw)
        spread = 0.5 if "embed" in name else 0.3
        weight.data = 1 + 0.3 * noise if "norm" in name else spread * noise


def restyle_config(path, spec):
    """Rewrites config.json with the keys of transformers 4, where the model asks for it."""
    if "type_key" not in spec:
        return
    config = json.loads(path.read_text())
    scaling = config.pop("rope_parameters")
    config["rope_theta"] = scaling.pop("rope_theta")
    kind = scaling.pop("rope_type")
    config["rope_scaling"] = None if kind == "default" else {spec["type_key"]: kind, **scaling}
    config["torch_dtype"] = config.pop("dtype")
    for key in spec.get("absent", []):
        del config[key]
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def make_configs(golden):
    for name, spec in MODELS.items():
        folder, draw = fresh(golden / "configs" / name), seeded(name)
        model = LlamaForCausalLM(LlamaConfig(**spec["sizes"]))
        randomize(model, draw)
        model.tie_weights()
        model.to(getattr(torch, spec.get("dtype", "float32"))).save_pretrained(folder, max_shard_size=spec.get("shard", "1GB"))
        (folder / "generation_config.json").unlink()
        restyle_config(folder / "config.json", spec)
        model = load_model(folder)
        rows = [{**row, **score(model, row)} for row in draw_rows(model, ROW_LENGTHS, draw)]
        write_json(folder / "expected.json", {"rows": [{k: v for k, v in r.items() if k != "near_ties"} for r in rows]})


def save_adapter(model, folder, base):
    """Saves as PEFT does; its sets are sorted and the base's path made relative, so that a second run is equal."""
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = f"tests/golden/configs/{base}"
    for key in ("target_modules", "exclude_modules"):
        if isinstance(config[key], list):
            config[key].sort()
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def new_adapter(golden, base, lora, folder, draw):
    """Writes an adapter whose A and B are both far from zero."""
    model = get_peft_model(load_model(golden / "configs" / base), LoraConfig(task_type="CAUSAL_LM", **lora))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = (0.5 if "lora_A" in name else 0.1) * torch.randn(weight.shape, generator=draw)
    save_adapter(model, folder, base)


def load_adapter(golden, base, folder, trainable=False):
    return PeftModel.from_pretrained(load_model(golden / "configs" / base), folder, is_trainable=trainable)


def peft_key(name):
    return name.replace(".default", "")


def adapter_weights(model):
    return {peft_key(name): weight for name, weight in model.named_parameters() if weight.requires_grad}


def summed_nll(model, row):
    at = torch.tensor(row["supervised"])
    return -logits_of(model, row["ids"])[at - 1].log_softmax(-1).gather(1, torch.tensor(row["ids"])[at][:, None]).sum()


def train(model, case):
    """Returns each step's figures and the first step's gradients; the model's adapter is trained in place.

    The loss of a step is the sum over the supervised tokens of all its rows, divided once by their count.
    """
    weights = adapter_weights(model)
    optimizer = torch.optim.AdamW(
        weights.values(), lr=case["learning_rate"], betas=tuple(case["betas"]), eps=case["eps"],
        weight_decay=case["weight_decay"])  # fmt: skip
    log, first = [], None
    for step in case["steps"]:
        rows = [case["rows"][i] for i in step]
        supervised = sum(len(row["supervised"]) for row in rows)
        optimizer.zero_grad()
        losses = [summed_nll(model, row) / supervised for row in rows]
        for loss in losses:
            loss.backward()
        first = first or {key: weight.grad.clone() for key, weight in weights.items()}
        norm = torch.nn.utils.clip_grad_norm_(weights.values(), case["max_grad_norm"])
        optimizer.step()
        log.append({"loss": sum(loss.item() for loss in losses), "grad_norm": norm.item(), "supervised_tokens": supervised})
    return log, first


def make_peft_steps(golden):
    for name, spec in STEPS.items():
        folder, draw = fresh(golden / "peft_steps" / name), seeded(f"steps {name}")
        new_adapter(golden, spec["model"], spec["lora"], folder / "start", draw)
        lengths = [5 + int(torch.randint(0, 36, (1,), generator=draw)) for _ in range(spec["rows"])]
        per_step = spec["batch"] * spec["accumulation"]
        case = {
            "base": f"../../configs/{spec['model']}", "learning_rate": spec["lr"], "lr_scheduler_type": "constant",
            "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": spec["decay"], "max_grad_norm": spec["clip"],
            "per_device_train_batch_size": spec["batch"], "gradient_accumulation_steps": spec["accumulation"],
            "steps": [[(s * per_step + i) % spec["rows"] for i in range(per_step)] for s in range(10)],
            "rows": draw_rows(load_model(golden / "configs" / spec["model"]), lengths, draw),
        }  # fmt: skip
        model = load_adapter(golden, spec["model"], folder / "start", trainable=True)
        log, first = train(model, case)
        write_json(folder / "case.json", case)
        save_adapter(model, folder / "expected", spec["model"])
        save_file(first, folder / "expected" / "first_gradients.safetensors")
        write_json(folder / "expected" / "steps.json", {"steps": log})


def adapted_modules(model):
    layers = {name.removeprefix("base_model.model."): m for name, m in model.named_modules() if isinstance(m, LoraLayer)}
    return {name: {"r": layers[name].r["default"], "scale": layers[name].scaling["default"]} for name in sorted(layers)}


def make_peft_load(golden):
    for name, (base, lora) in LOADS.items():
        folder, draw = fresh(golden / "peft_load" / name), seeded(f"load {name}")
        new_adapter(golden, base, lora, folder, draw)
        plain, active = load_model(golden / "configs" / base), load_adapter(golden, base, folder)
        modules, rows = adapted_modules(active), draw_rows(active, ROW_LENGTHS, draw)
        answers = [score(active, row) for row in rows]
        merged = active.merge_and_unload()
        for row, answer in zip(rows, answers):
            joined = score(merged, row)
            row |= {key: answer[key] for key in ("nll", "correct", "last_logits")}
            row |= {"merged_nll": joined["nll"], "merged_last_logits": joined["last_logits"]}
            row["base_nll"] = score(plain, row)["nll"]
        write_json(folder / "expected.json", {"base": f"../../configs/{base}", "modules": modules, "rows": rows})


def texts_of(shared, source):
    if source == "plain_text":
        pieces = (shared / "data/plain_text/input.txt").read_text().split("\n\n")
        return [piece[:200] for piece in pieces if len(piece) >= 40][:64]
    lines = (shared / "data/gsm8k/test.jsonl").read_text().split("\n")[:64]
    return [json.loads(line)["messages"][0]["content"][:200] for line in lines]


def score_text(model, tokenizer, text):
    config = model.config
    ids = [config.bos_token_id, *tokenizer.encode(text, add_special_tokens=False).ids, config.eos_token_id]
    answer = score(model, {"ids": ids, "supervised": list(range(1, len(ids)))})
    digest = hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()
    figures = {key: answer[key] for key in ("nll", "correct", "near_ties")}
    return {"ids_count": len(ids), "ids_sha256": digest, "supervised_tokens": len(ids) - 1, **figures}


def make_real(golden, shared):
    if not shared.is_dir():
        print(f"skipped real: {shared} is absent")
        return
    folder = fresh(golden / "real")
    for name, sources in {"stories260K": ["plain_text", "gsm8k"], "babyllama": ["plain_text"]}.items():
        home = shared / "models" / name
        model, tokenizer = load_model(home), tokenizers.Tokenizer.from_file(str(home / "tokenizer.json"))
        result = {"model": f"models/{name}", "rule": TEXT_RULE, "sources": {s: SOURCES[s] for s in sources}}
        for source in sources:
            result[source] = [score_text(model, tokenizer, text) for text in texts_of(shared, source)]
        write_json(folder / f"{name}.json", result)


def quiet_and_exact():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def write_versions(golden):
    packages = {module.__name__: module.__version__ for module in (peft, safetensors, tokenizers, torch, transformers)}
    write_json(golden / "versions.json", {"python": platform.python_version(), **packages})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", nargs="?", default="all", choices=["all", "configs", "peft_steps", "peft_load", "real"])
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with the real models and texts")
    parser.add_argument("--golden", type=Path, default=Path("tests/golden"), help="folder to write")
    options = parser.parse_args()
    quiet_and_exact()
    parts = {
        "configs": make_configs, "peft_steps": make_peft_steps, "peft_load": make_peft_load,
        "real": lambda golden: make_real(golden, options.shared),
    }  # fmt: skip
    for part in parts if options.part == "all" else [options.part]:
        parts[part](options.golden)
    write_versions(options.golden)


if __name__ == "__main__":
    main()
