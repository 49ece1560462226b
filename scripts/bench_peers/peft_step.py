"""Times PEFT's full training step: forward, backward and AdamW on random tokens, all of them supervised.

    python scripts/bench_peers/peft_step.py --model MODEL [--dtype bf16] [--compile] [--rows 4] [--length 256]
"""

import statistics
from pathlib import Path

import torch

import measure


def main():
    parser = measure.options_of(__doc__, steps=5, warmup=2)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--adapter", type=Path, help="PEFT adapter to start from")
    parser.add_argument("--adapter-dtype", choices=("f32", "base"), default="f32")
    parser.add_argument("--autocast", action="store_true", help="f32 weights, products in bf16")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--compile-blocks", action="store_true", help="compiles one block, for all: minutes less to wait")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=256)
    options = parser.parse_args()
    measure.set_threads(options.threads)

    model = measure.load_model(options.model, options.dtype)
    model = measure.with_adapter(model, options.adapter, options.adapter_dtype, options.seed).train()
    model.config.use_cache = False
    if options.gradient_checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable({"use_reentrant": False})
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-4, weight_decay=0.0)
    if options.compile_blocks:
        for block in model.get_base_model().model.layers:
            block.compile(dynamic=False)
    step_model = torch.compile(model, dynamic=False) if options.compile else model
    torch.manual_seed(options.seed)
    ids = torch.randint(model.config.vocab_size, (options.rows, options.length))
    losses, seconds = [], []

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=options.autocast):
            loss = step_model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())

    for _ in range(options.warmup + options.steps):
        seconds.append(measure.seconds_of(step))
    step_seconds = statistics.median(seconds[options.warmup :])
    measure.report(
        "peft_step",
        options,
        tokens_per_second=ids.numel() / step_seconds,
        step_seconds=step_seconds,
        first_seconds=seconds[0],
        losses=losses,
    )


if __name__ == "__main__":
    main()
