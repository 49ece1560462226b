#!/usr/bin/env bash
# Measures tunewise beside PEFT, TRL, transformers, datasets and torch on this machine, and prints a table of ratios.
# Run with: scripts/bench_peers.sh [WORK...]     works: step rows replies answers cached different prepare products
#                                                without one, all of them
#           scripts/bench_peers.sh settings      the peers alone, once with each of their settings, to choose from
#
# `answers` is transformers' generate as it comes, `cached` the same with the shared prefix kept by hand.
#
#   TUNEWISE      the program                                  [target/release/tunewise]
#   MATERIAL      folder with tokenizers/ and data/            [../shared]
#   BENCH_VENV    the peers' virtual environment, made where it is absent
#   BENCH_MODEL   folder of the model, made where it is absent
#   BENCH_OUTPUT  folder for the figures                       [a new one]
#   ROUNDS        rounds, in each of which both sides run once [3]
#   OUR_DTYPE     our number format                            [auto]
#   ROW_STEPS, REPLY_STEPS  steps that are measured           [10, 4]
#   PEER_STEP, PEER_ROWS, PEER_REPLIES, PEER_ANSWERS, PEER_PREPARE  the peers' settings
set -euo pipefail
cd "$(dirname "$0")/.."
here=scripts/bench_peers
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tunewise
tunewise=${TUNEWISE:-target/release/tunewise}
material=${MATERIAL:-../shared}
venv=${BENCH_VENV:-$cache/bench-venv}
model=${BENCH_MODEL:-$cache/bench-smollm2-135m}
output=${BENCH_OUTPUT:-$(mktemp -d)}
rounds=${ROUNDS:-3}
threads=${THREADS:-$(nproc)}
dtype=${OUR_DTYPE:-auto}
python=$venv/bin/python
export PYTHONDONTWRITEBYTECODE=1

# The peers' best settings differ by processor: bf16 gains where there are instructions for it, and costs a lot where not.
has_bf16() { grep -qE 'avx512_bf16|amx_bf16' /proc/cpuinfo; }
if has_bf16; then
    step=${PEER_STEP:---dtype bf16 --compile}
    rows=${PEER_ROWS:---dtype bf16}
    answers=${PEER_ANSWERS:---dtype bf16}
else
    step=${PEER_STEP:---dtype f32 --compile-blocks}
    rows=${PEER_ROWS:---dtype f32 --padding-free}
    answers=${PEER_ANSWERS:---dtype f32}
fi
replies=${PEER_REPLIES:-$rows}
prepare=${PEER_PREPARE:---processes 2 --batched}
# Steps before those that are measured, and measured ones: the same rows on both sides.
warmup=2
row_steps=${ROW_STEPS:-10}
reply_steps=${REPLY_STEPS:-4}

# What both sides start from.

make_venv() {
    [ -x "$python" ] && return
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet -r "$here/requirements.txt"
}

make_material() {
    [ -f "$model/model.safetensors" ] ||
        "$python" "$here/make_model.py" "$model" --tokenizer "$material/tokenizers/smollm2-135m-instruct"
    adapter=$output/adapter
    [ -d "$adapter" ] || "$python" "$here/make_adapter.py" "$model" "$adapter" 2>/dev/null
    head -n $((8 * (warmup + row_steps))) "$material/data/clinc150/train.jsonl" >"$output/rows.jsonl"
    head -n $((8 * (warmup + reply_steps))) "$material/data/support_replies/train.jsonl" >"$output/replies.jsonl"
    local clinc=$material/data/clinc150
    "$python" "$here/few_shot_rows.py" "$clinc/train.jsonl" "$clinc/test.jsonl" "$output/answers.jsonl"
    "$python" "$here/few_shot_rows.py" "$clinc/train.jsonl" "$clinc/test.jsonl" "$output/different.jsonl" --different
}

# The peers; each prints one line of JSON, its settings last so that they can be given by the caller.

# peer SCRIPT OPTION...: messages are shown only where it fails.
peer() {
    "$python" "$here/$1" --model "$model" --threads "$threads" "${@:2}" 2>"$output/messages" | tail -n 1 ||
        { tail -n 5 "$output/messages" >&2; return 1; }
}
peer_step() { peer peft_step.py --adapter "$adapter" "$@"; }
peer_rows() { peer trl_rows.py --adapter "$adapter" --data "$output/rows.jsonl" --warmup $warmup --steps $row_steps "$@"; }
peer_replies() {
    peer trl_rows.py --adapter "$adapter" --data "$output/replies.jsonl" --warmup $warmup --steps $reply_steps "$@"
}
peer_answers() { peer generate_rows.py --rows "$output/answers.jsonl" --show 64 "$@"; }
peer_cached() { peer_answers --prefix-cache "$@"; }
peer_different() { peer generate_rows.py --rows "$output/different.jsonl" --show 64 "$@"; }
peer_prepare() { peer prepare_rows.py --data "$material/data/clinc150/train.jsonl" --steps 1 "$@"; }
peer_products() { peer linear.py "$@"; }

# Our side: one function a work, each prints one line of JSON with the peers' names.

ours() { "$python" "$here/ours.py" "$@"; }
our_train() {
    rm -rf "$output/run"
    ours rows --warmup $warmup --batch-size 8 -- "$tunewise" train --model "$model" --data "$1" --output "$output/run" \
        --init-adapter "$adapter" --no-shuffle --train-on last --per-device-train-batch-size 8 --max-steps "$2" \
        --learning-rate 2e-4 --lr-scheduler-type constant --dtype "$dtype" --threads "$threads" --report-to jsonl --json
}
ours_step() { ours step -- "$tunewise" bench --model "$model" --step 4x256 --dtype "$dtype" --threads "$threads" --json; }
ours_rows() { our_train "$output/rows.jsonl" $((warmup + row_steps)); }
ours_replies() { our_train "$output/replies.jsonl" $((warmup + reply_steps)); }
our_answers() {
    ours answers -- "$tunewise" generate --model "$model" --input "$1" --output "$output/answered.jsonl" \
        --max-new-tokens 8 --batch-size 8 --dtype "$dtype" --threads "$threads" --json
}
ours_answers() { our_answers "$output/answers.jsonl"; }
ours_cached() { ours_answers; }
ours_different() { our_answers "$output/different.jsonl"; }
ours_prepare() {
    ours prepare -- "$tunewise" check --model "$model" --data "$material/data/clinc150/train.jsonl" --threads "$threads" --json
}
ours_products() { ours products -- "$tunewise" bench --model "$model" --dtype "$dtype" --threads "$threads" --json; }

# The comparison.

settings_of() {
    case $1 in
        step) echo "$step" ;; rows) echo "$rows" ;; replies) echo "$replies" ;; prepare) echo "$prepare" ;;
        answers | cached | different) echo "$answers" ;; products) ;;
    esac
}

# compare WORK: the sides take turns, so that a machine that slows down or speeds up does so for both.
compare() {
    local work=$1 settings
    read -ra settings <<<"$(settings_of "$work")" || true
    rm -f "$output/$work".{peer,ours}.jsonl
    for round in $(seq "$rounds"); do
        echo "$work, round $round of $rounds" >&2
        "peer_$work" "${settings[@]}" >>"$output/$work.peer.jsonl" || echo "$work: the peer failed" >&2
        "ours_$work" >>"$output/$work.ours.jsonl" || echo "$work: ours failed" >&2
    done
}

# Each line of settings is a peer's own. bf16 is left out where the processor has no instructions for it: a step then
# takes minutes.
try_settings() {
    rounds=1
    local work settings
    while IFS=: read -r work settings; do
        if [[ $settings == *bf16* || $settings == *autocast* ]] && ! has_bf16; then continue; fi
        read -ra settings <<<"$settings"
        echo "$work ${settings[*]}" >&2
        "peer_$work" "${settings[@]}" >"$output/$work ${settings[*]}.peer.jsonl" || echo "$work ${settings[*]}: failed" >&2
    done <<'SETTINGS'
step: --dtype f32
step: --dtype f32 --compile
step: --dtype f32 --compile-blocks
step: --dtype bf16
step: --dtype bf16 --adapter-dtype base
step: --dtype bf16 --compile
step: --dtype bf16 --compile-blocks
step: --dtype f32 --autocast
rows: --dtype f32
rows: --dtype f32 --padding-free
rows: --dtype f32 --compile --warmup 4
rows: --dtype f32 --compile-blocks --warmup 4
rows: --dtype bf16
rows: --dtype bf16 --adapter-dtype base
rows: --dtype f32 --autocast
replies: --dtype f32
replies: --dtype f32 --padding-free
replies: --dtype bf16
answers: --dtype f32
answers: --dtype f32 --prefix-cache
answers: --dtype bf16
answers: --dtype bf16 --prefix-cache
prepare: --processes 2
prepare: --processes 2 --batched
prepare: --processes 1
prepare: --processes 1 --batched
SETTINGS
}

mkdir -p "$output"
make_venv
make_material
if [ "${1:-}" = settings ]; then
    try_settings
else
    for work in "${@:-step rows replies answers cached different prepare products}"; do
        # Unquoted: the default is a list.
        for one in $work; do compare "$one"; done
    done
fi
"$python" "$here/table.py" "$output"
echo "figures: $output" >&2
