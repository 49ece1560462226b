//! The examples below each command's help.

use tunewise_infer::Metric;

/// Below `tunewise --help`.
pub const ALL: &str = "\
The order of work:
  tunewise prepare  --data export.csv --output data/              make the splits, leave out repeats and bad rows
  tunewise check    --model DIR --data data/                      read the data, find what would fail
  tunewise compare  --model DIR --test data/test.jsonl --arms zero-shot,system-prompt ...   prompt first
  tunewise train    --model DIR --data data/ --output run/        fine-tune what prompts do not reach
  tunewise compare  --model DIR --adapter run/ ...                measure again, on the same rows

Exit codes: 0 done, 1 a check failed, 2 wrong input or usage, 3 interrupted with state saved,
130 interrupted, nothing saved.
`tunewise COMMAND --help` shows a command's flags and examples.";

/// Below `tunewise check --help`.
pub const CHECK: &str = "\
Examples:
  tunewise check --data data/
  tunewise check --data data/ --report quality.html
  tunewise check --data data/train.jsonl --model models/my-model --max-length 1024
  tunewise check --data data/ --model models/my-model --base-loss --items rows.jsonl
  tunewise check --data export.jsonl --prompt-feature question --completion-feature answer

It exits 1 where a row would fail in training; with `--on-bad-row skip` and `--excess-length-strategy` as in training,
rows that training would leave out or cut are counted and do not fail. `--items` writes one line for each row:
{\"file\", \"line\", \"codes\", \"suspicion\" (of its label, or else by its loss; 0 to 1), \"loss\" (nats per supervised token)}.";

/// Below `tunewise prepare --help`.
pub const PREPARE: &str = "\
Examples:
  tunewise prepare --data export.jsonl --output data
  tunewise prepare --data tickets.csv --prompt-feature question --completion-feature answer --output data \\
                   --split 0.8/0.1/0.1 --group-by customer --redact
  tunewise prepare --data exports/ --output data --on-bad-row skip --drop cut-off,contradiction --max-rows 20000

Equal questions are always in one split, nearly equal ones where they are found. `ledger.jsonl` has one row for each row
of the input: the file and line it went to, or why it was left out. The same files, flags and seed give the same bytes.
All rows are held in memory. Ctrl-C exits 130 and saves nothing.";

/// Below `tunewise train --help`.
pub const TRAIN: &str = "\
Examples:
  tunewise train --model models/my-model --data data/ --output run
  tunewise train --config recipe.yaml --learning-rate 1e-4 --num-train-epochs 2
  tunewise train --config recipe.yaml --resume-from-checkpoint true

The rows are checked first, as `tunewise check` does: findings of severity error stop the run unless `--force` is given.
`tunewise recipe` prints every key as a file. Ctrl-C saves a checkpoint and says how to resume.";

/// Below `tunewise tokenizer --help`.
pub const TOKENIZER: &str = "\
Examples:
  tunewise tokenizer --data data/ --vocab-size 4096 --output models/new
  tunewise train --model models/new --data data/ --finetune-type full --from-scratch --output run

The folder then needs a `config.json` with the same `vocab_size`, and `train` starts from random weights.";

/// Below `tunewise render --help`.
pub const RENDER: &str = "\
Examples:
  tunewise render --model models/my-model --data data/train.jsonl --line 1
  tunewise render --model models/my-model --data data/test.jsonl --line 1 --generation-prompt
  tunewise render --model models/my-model --data data/train.jsonl --json > rows.jsonl

With --json each row is one line: {\"line\", \"text\", \"ids\", \"supervised\" (indices into ids)}.";

/// Below `tunewise generate --help`.
pub const GENERATE: &str = "\
Examples:
  tunewise generate --model models/my-model --prompt 'Where is my order?'
  tunewise generate --model models/my-model --adapter run --prompt 'Where is my order?' --temperature 0.7 --top-p 0.9
  tunewise generate --model models/my-model --input data/test.jsonl --output answers.jsonl --max-new-tokens 32

The answers are written when all are there. Ctrl-C exits 130 and saves nothing.";

/// Below `tunewise evaluate --help`.
pub const EVALUATE: &str = "\
Examples:
  tunewise evaluate --model models/my-model --data data/test.jsonl
  tunewise evaluate --model models/my-model --adapter run --data data/test.jsonl --items items.jsonl

Ctrl-C exits 130 and saves nothing.";

/// Below `tunewise compare --help`: the metrics, then examples.
pub fn compare() -> String {
    let metrics = Metric::all().iter();
    let metrics = metrics.map(|metric| format!("  {:<20} {}\n", metric.name, metric.description));
    format!("Metrics:\n{}\n{COMPARE}", metrics.collect::<String>())
}

const COMPARE: &str = "\
Examples:
  tunewise compare --model models/my-model --test data/test.jsonl --train data/train.jsonl \\
                   --arms zero-shot,few-shot --shots 8 --metric exact-match --output report
  tunewise compare --model models/my-model --adapter run --test data/test.jsonl --train data/train.jsonl \\
                   --arms zero-shot,system-prompt,tuned --system-prompt prompt.txt \\
                   --metric label-accuracy --output report

The report is written when every arm has answered. Ctrl-C exits 130 and saves nothing.";

/// Below `tunewise merge --help`.
pub const MERGE: &str = "\
Examples:
  tunewise merge --model models/my-model --adapter run --output models/my-model-tuned";

/// Below `tunewise bench --help`.
pub const BENCH: &str = "\
Examples:
  tunewise bench --model models/my-model
  tunewise bench --model models/my-model --step 8x512 --dtype f32 --json";

/// Below `tunewise recipe --help`.
pub const RECIPE: &str = "\
Examples:
  tunewise recipe > recipe.yaml
  tunewise recipe --schema > recipe.schema.json";

/// Below `tunewise doctor --help`.
pub const DOCTOR: &str = "\
Examples:
  tunewise doctor
  tunewise doctor --json";
