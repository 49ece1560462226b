"""What every peer's script shares: its options, how it times, and the one line of JSON it prints."""

import argparse
import json
import os
import resource
import statistics
import time

# No model and no data set is fetched: a name that is not a folder must fail at once.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

DTYPES = ("f32", "bf16")


def options_of(description, steps, warmup):
    """Returns a parser with the options that all works have."""
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--dtype", choices=DTYPES, default="f32", help="number format of the base weights")
    parser.add_argument("--compile", action="store_true", help="torch.compile, compiled during the warm-up")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--steps", type=int, default=steps, help="measured steps, after the warm-up")
    parser.add_argument("--warmup", type=int, default=warmup, help="steps before those that are measured")
    parser.add_argument("--seed", type=int, default=42)
    return parser


def set_threads(count):
    """Lets torch compute with `count` threads."""
    import torch

    torch.set_num_threads(count)


def dtype_of(name):
    import torch

    return {"f32": torch.float32, "bf16": torch.bfloat16}[name]


def load_model(folder, dtype):
    """Returns the model of a folder, with the attention that is fastest on a processor."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype_of(dtype), attn_implementation="sdpa")


def with_adapter(model, adapter, adapter_dtype, seed):
    """Returns the model with a trainable adapter: the one of a folder, or a new one of rank 8 on all linear layers.

    `adapter_dtype` is `f32`, as PEFT has it by default, or `base`: that of the base weights, which saves the casts.
    """
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    cast = adapter_dtype == "f32"
    if adapter is not None:
        return PeftModel.from_pretrained(model, adapter, is_trainable=True, autocast_adapter_dtype=cast)
    torch.manual_seed(seed)
    config = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, config, autocast_adapter_dtype=cast)


def median_seconds(call, repeats, warmup=1):
    """Returns the median time of a call, in seconds."""
    for _ in range(warmup):
        call()
    return statistics.median(seconds_of(call) for _ in range(repeats))


def seconds_of(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak_memory_bytes(of=resource.RUSAGE_SELF):
    """Returns the largest resident set so far: this process's, or that of the largest of its ended children."""
    # The unit of ru_maxrss is the kibibyte on Linux.
    return resource.getrusage(of).ru_maxrss * 1024


def report(work, options, **figures):
    """Prints the figures with the settings they were measured with, as one line of JSON."""
    line = {"work": work, "peak_memory_bytes": peak_memory_bytes(), **figures}
    line["settings"] = {key: str(value) if hasattr(value, "parts") else value for key, value in vars(options).items()}
    print(json.dumps(line), flush=True)
