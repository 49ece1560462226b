"""Checks tests/golden: recomputes every figure, and shows that wrong variants of it would be noticed.

    /tmp/oracle/bin/python scripts/check_golden.py [--shared ../shared]

Exit code 1 when a figure is not met again, or when a wrong variant is too close to the right one. One of the
training runs is repeated by transformers' own Trainer, which pads its rows and counts num_items_in_batch itself.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from golden_cases import LOADS, MODELS, STEPS
from make_golden import (
    adapted_modules, adapter_weights, load_adapter, load_model, quiet_and_exact, score, score_text, summed_nll, texts_of,
    train,
)  # fmt: skip
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoConfig, PrinterCallback, Trainer, TrainingArguments

FAILURES = []


def report(fact, value, ok):
    print(f"{'ok  ' if ok else 'FAIL'} {fact}: {value:.2e}")
    if not ok:
        FAILURES.append(fact)


def nll_difference(model, rows):
    """Returns the largest relative difference between the model's NLL and the rows'."""
    return max(abs(score(model, row)["nll"] - row["nll"]) / row["nll"] for row in rows)


def wrong_configs(config):
    """Yields the name and the change of configurations that read one option wrongly."""
    rope = dict(config.rope_parameters)
    yield "rope_theta half as large again", {"rope_parameters": {**rope, "rope_theta": 1.5 * rope["rope_theta"]}}
    for key in ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"):
        if key in rope:
            yield f"{key} half as large again", {"rope_parameters": {**rope, key: type(rope[key])(1.5 * rope[key])}}
    if rope["rope_type"] != "default":
        yield "no rope scaling", {"rope_parameters": {"rope_type": "default", "rope_theta": rope["rope_theta"]}}
    if config.rms_norm_eps > 1e-3:
        yield "rms_norm_eps 1e-5", {"rms_norm_eps": 1e-5}


@torch.no_grad()
def spread_heads(model):
    """Reorders query heads so that head h reads key head h mod kv_heads instead of h div group."""
    config = model.config
    order = torch.arange(config.num_attention_heads).view(config.num_key_value_heads, -1).T.flatten()
    for layer in model.model.layers:
        attention = layer.self_attn
        rows = torch.arange(config.num_attention_heads * config.head_dim).view(-1, config.head_dim)[order].flatten()
        back = rows.argsort()
        for part in [attention.q_proj.weight, attention.q_proj.bias]:
            if part is not None:
                part.copy_(part[back])
        attention.o_proj.weight.copy_(attention.o_proj.weight[:, back])


@torch.no_grad()
def zero_biases(model, module):
    for name, weight in model.named_parameters():
        if f"{module}." in name and name.endswith("bias"):
            weight.zero_()


def wrong_models(folder, config):
    """Yields the name and the model of every misreading that the model's options allow."""
    for name, change in wrong_configs(config):
        wrong = AutoConfig.from_pretrained(folder)
        for key, value in change.items():
            setattr(wrong, key, value)
        yield name, load_model(folder, config=wrong)
    for module in [m for m, on in (("self_attn", config.attention_bias), ("mlp", config.mlp_bias)) if on]:
        model = load_model(folder)
        zero_biases(model, module)
        yield f"no {module} biases", model
    if 1 < config.num_key_value_heads < config.num_attention_heads:
        model = load_model(folder)
        spread_heads(model)
        yield "query heads spread over key heads", model


def check_configs(golden):
    for name, spec in MODELS.items():
        folder = golden / "configs" / name
        rows, config = json.loads((folder / "expected.json").read_text())["rows"], AutoConfig.from_pretrained(folder)
        config.rope_parameters.pop("type", None)  # kept beside `rope_type` when an older file has it
        read = all(getattr(config, key) == value for key, value in spec["sizes"].items())
        read &= str(config.dtype).endswith(spec.get("dtype", "float32"))
        report(f"{name} is read with the options it was written with", float(read), read)
        difference = nll_difference(load_model(folder), rows)
        report(f"{name} again", difference, difference < 1e-6)
        for wrong, model in wrong_models(folder, config):
            difference = nll_difference(model, rows)
            report(f"{name}, {wrong}", difference, difference > 1e-3)


@torch.no_grad()
def check_loads(golden):
    for name, (base, _) in LOADS.items():
        folder = golden / "peft_load" / name
        expected, model = json.loads((folder / "expected.json").read_text()), load_adapter(golden, base, folder)
        rows = expected["rows"]
        report(f"{name} modules", len(expected["modules"]), adapted_modules(model) == expected["modules"])
        difference = nll_difference(model, rows)
        report(f"{name} again", difference, difference < 1e-6)
        merged = max(abs(row["merged_nll"] - row["nll"]) / row["nll"] for row in rows)
        report(f"{name}, merged", merged, merged < 1e-5)
        for module in expected["modules"]:
            wrong = load_adapter(golden, base, folder)
            wrong.get_submodule(f"base_model.model.{module}").scaling["default"] *= 1.05
            difference = nll_difference(wrong, rows)
            report(f"{name}, {module} scaled 5 % more", difference, difference > 1e-4)


def distance(ours, expected, start):
    """Returns the smallest and the largest ‖ours − expected‖ / ‖expected − start‖ of the tensors."""
    ratios = [((ours[key] - expected[key]).norm() / (expected[key] - start[key]).norm()).item() for key in expected]
    return min(ratios), max(ratios)


def train_mean_of_means(model, case):
    """Trains with the mistake of averaging each micro-batch by itself."""
    weights = adapter_weights(model)
    optimizer = torch.optim.AdamW(weights.values(), lr=case["learning_rate"], weight_decay=case["weight_decay"])
    size, count = case["per_device_train_batch_size"], case["gradient_accumulation_steps"]
    for step in case["steps"]:
        optimizer.zero_grad()
        for start in range(0, len(step), size):
            rows = [case["rows"][i] for i in step[start : start + size]]
            supervised = sum(len(row["supervised"]) for row in rows)
            (sum(summed_nll(model, row) for row in rows) / supervised / count).backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), case["max_grad_norm"])
        optimizer.step()


def collate(rows):
    """Returns a batch padded on the right, as a data collator would."""
    longest = max(len(row["ids"]) for row in rows)
    pad = lambda values, fill: values + [fill] * (longest - len(values))  # noqa: E731
    labels = [[token if i in row["supervised"] else -100 for i, token in enumerate(row["ids"])] for row in rows]
    return {
        "input_ids": torch.tensor([pad(row["ids"], 0) for row in rows]),
        "attention_mask": torch.tensor([pad([1] * len(row["ids"]), 0) for row in rows]),
        "labels": torch.tensor([pad(label, -100) for label in labels]),
    }


def train_by_trainer(model, case):
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=len(case["steps"]), learning_rate=case["learning_rate"], use_cpu=True,
            lr_scheduler_type=case["lr_scheduler_type"], weight_decay=case["weight_decay"], optim="adamw_torch",
            max_grad_norm=case["max_grad_norm"], per_device_train_batch_size=case["per_device_train_batch_size"],
            gradient_accumulation_steps=case["gradient_accumulation_steps"], train_sampling_strategy="sequential",
            remove_unused_columns=False, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        rows = [case["rows"][i] for step in case["steps"] for i in step]
        trainer = Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate)
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def check_steps(golden):
    for name, spec in STEPS.items():
        folder = golden / "peft_steps" / name
        case, log = (json.loads((folder / file).read_text()) for file in ("case.json", "expected/steps.json"))
        start, expected = (load_file(folder / part / "adapter_model.safetensors") for part in ("start", "expected"))

        def tried(run, **changes):
            model = load_adapter(golden, spec["model"], folder / "start", trainable=True)
            run(model, {**case, **changes})
            return distance({key: weight.detach() for key, weight in adapter_weights(model).items()}, expected, start)

        clipped = sum(step["grad_norm"] > case["max_grad_norm"] for step in log["steps"])
        report(f"{name} clips in some steps of ten", clipped, 2 <= clipped <= 9)
        for fact, run in {"again": train, "by transformers' Trainer": train_by_trainer}.items():
            largest = tried(run)[1]
            report(f"{name} {fact}", largest, largest < 1e-3)
        wrong = {"unclipped": (train, {"max_grad_norm": 1e9})}
        if case["gradient_accumulation_steps"] > 1:
            wrong["mean of micro-batch means"] = (train_mean_of_means, {})
        if case["weight_decay"]:
            wrong["no weight decay"] = (train, {"weight_decay": 0.0})
        for fact, (run, changes) in wrong.items():
            smallest, largest = tried(run, **changes)
            report(f"{name}, {fact} (least {smallest:.2e}), most", largest, largest > 0.02)


def check_real(golden, shared):
    for path in sorted((golden / "real").glob("*.json")) if shared.is_dir() else []:
        expected, home = json.loads(path.read_text()), shared / "models" / path.stem
        model, tokenizer = load_model(home), Tokenizer.from_file(str(home / "tokenizer.json"))
        double = load_model(home).double()
        for source in expected["sources"]:
            rows = [(row, score_text(model, tokenizer, text)) for row, text in zip(expected[source], texts_of(shared, source))]
            difference = max(abs(row["nll"] - again["nll"]) / row["nll"] for row, again in rows)
            report(f"{path.stem} {source}, {len(rows)} rows again", difference, difference < 1e-6 and len(rows) == 64)
            doubles = [score_text(double, tokenizer, text) for text in texts_of(shared, source)]
            difference = max(abs(row["nll"] - wide["nll"]) / row["nll"] for (row, _), wide in zip(rows, doubles))
            report(f"{path.stem} {source}, weights and products in float64", difference, difference < 1e-5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with the real models and texts")
    parser.add_argument("--golden", type=Path, default=Path("tests/golden"))
    options = parser.parse_args()
    quiet_and_exact()
    check_configs(options.golden)
    check_loads(options.golden)
    check_steps(options.golden)
    check_real(options.golden, options.shared)
    print(f"{len(FAILURES)} failed")
    raise SystemExit(1 if FAILURES else 0)


if __name__ == "__main__":
    main()
