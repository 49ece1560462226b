"""Times TRL's SFTTrainer on chat rows, with the loss on each row's last answer, in the file's order.

    python scripts/bench_peers/trl_rows.py --model MODEL --data train.jsonl --adapter DIR [--dtype bf16] [--compile]

The learning rate is constant and nothing decays, so that another program's losses compare step by step.
"""

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import measure

END_OF_TURN = "<|im_end|>"


def tokenized(path, tokenizer, count):
    """Returns the ids and labels of the first `count` rows; the last answer and its end of turn are supervised."""
    end = tokenizer.convert_tokens_to_ids(END_OF_TURN)
    rows = []
    with open(path) as lines:
        for _, line in zip(range(count), lines):
            messages = json.loads(line)["messages"]
            prompt = tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
            prompt = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            ids = tokenizer(tokenizer.apply_chat_template(messages, tokenize=False), add_special_tokens=False)["input_ids"]
            assert ids[: len(prompt)] == prompt, "the prompt is not how the row begins"
            stop = ids.index(end, len(prompt)) + 1
            labels = [-100] * len(prompt) + ids[len(prompt) : stop] + [-100] * (len(ids) - stop)
            rows.append({"input_ids": ids, "labels": labels})
    return rows


def settings_of(options, folder):
    from trl import SFTConfig

    if options.compile_blocks:
        os.environ["ACCELERATE_DYNAMO_USE_REGIONAL_COMPILATION"] = "true"
    return SFTConfig(
        output_dir=folder,
        use_cpu=True,
        bf16=options.autocast,
        torch_compile=options.compile or options.compile_blocks,
        gradient_checkpointing=options.gradient_checkpointing,
        per_device_train_batch_size=options.batch_size,
        max_steps=options.warmup + options.steps,
        learning_rate=options.learning_rate,
        lr_scheduler_type=options.lr_scheduler_type,
        weight_decay=0.0,
        max_length=None,
        padding_free=options.padding_free,
        pad_to_multiple_of=options.pad_to_multiple_of,
        train_sampling_strategy="group_by_length" if options.group_by_length else "sequential",
        seed=options.seed,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def trainer_of(options, folder):
    """Returns a trainer that notes each step's loss, tokens and time of its end."""
    from datasets import Dataset
    from transformers import AutoTokenizer, PrinterCallback, TrainerCallback
    from trl import SFTTrainer

    class Steps(TrainerCallback):
        def on_train_begin(self, *_, **__):
            self.ends = [time.perf_counter()]

        def on_step_end(self, *_, **__):
            self.ends.append(time.perf_counter())

    class Trainer(SFTTrainer):
        def compute_loss(self, model, inputs, *rest, **named):
            loss = super().compute_loss(model, inputs, *rest, **named)
            self.losses.append(loss.item())
            mask = inputs.get("attention_mask")
            self.tokens.append(inputs["input_ids"].numel() if mask is None else int(mask.sum()))
            self.supervised.append(int((inputs["labels"] != -100).sum()))
            return loss

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    count = options.rows or (options.warmup + options.steps) * options.batch_size
    model = measure.load_model(options.model, options.dtype)
    trainer = Trainer(
        model=measure.with_adapter(model, options.adapter, options.adapter_dtype, options.seed),
        args=settings_of(options, folder),
        train_dataset=Dataset.from_list(tokenized(options.data, tokenizer, count)),
        processing_class=tokenizer,
    )
    trainer.losses, trainer.tokens, trainer.supervised, trainer.steps = [], [], [], Steps()
    trainer.add_callback(trainer.steps)
    trainer.remove_callback(PrinterCallback)
    return trainer


def main():
    parser = measure.options_of(__doc__, steps=10, warmup=2)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="chat JSONL")
    parser.add_argument("--adapter", type=Path, help="PEFT adapter to start from, as make_adapter.py writes it")
    parser.add_argument("--adapter-dtype", choices=("f32", "base"), default="f32")
    parser.add_argument("--autocast", action="store_true", help="TRL's `bf16`: products in bf16 by autocast")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--compile-blocks", action="store_true", help="compiles one block, for all: minutes less to wait")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rows", type=int, help="rows of the file that are read [default: those of the steps]")
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--lr-scheduler-type", default="constant", help="TRL's own default is linear")
    parser.add_argument("--padding-free", action="store_true", help="rows of a batch laid end to end")
    parser.add_argument("--pad-to-multiple-of", type=int, help="fewer lengths, for --compile")
    parser.add_argument("--group-by-length", action="store_true", help="not the file's order: its losses do not compare")
    options = parser.parse_args()
    measure.set_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(options, folder)
        trainer.train()
    ends = trainer.steps.ends
    seconds = [end - start for start, end in zip(ends, ends[1:])]
    measured, tokens = seconds[options.warmup :], trainer.tokens[options.warmup :]
    measure.report(
        "trl_rows",
        options,
        rows_per_second=options.batch_size / statistics.median(measured),
        mean_rows_per_second=options.batch_size * len(measured) / sum(measured),
        tokens_per_second=sum(tokens) / sum(measured),
        first_seconds=seconds[0],
        step_seconds=seconds,
        tokens=trainer.tokens,
        supervised_tokens=trainer.supervised,
        losses=trainer.losses,
    )


if __name__ == "__main__":
    main()
