#!/usr/bin/env bash
# Shows that the parity tests notice a backward that is 1 % off: each op's gradient is scaled by 1.01 in turn, in a
# copy of the tree, and the tests of the model crate must fail each time.
# Run with: scripts/perturb_backward.sh
set -euo pipefail
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -co --exclude-standard | tar -c -T - | tar -x -C "$copy"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
source=$copy/crates/model/src
missed=0

# perturb NAME FILE FROM TO: replaces the first FROM, which must be there, and expects a failing test.
perturb() {
    local name=$1 file=$source/$2 from=$3 to=$4
    cp "$file" "$copy/kept"
    FROM=$from TO=$to perl -0pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/ or die "not found: $ENV{FROM}\n"' "$file"
    if (cd "$copy" && cargo test -q -p tunewise-model --test gradients --test autograd >"$copy/log" 2>&1); then
        echo "MISSED    $name"
        missed=1
    elif grep -q 'test result: FAILED' "$copy/log"; then
        echo "noticed   $name: $(grep -c 'panicked at' "$copy/log") tests failed"
    else
        echo "NO BUILD  $name"; tail -n 20 "$copy/log"; missed=1
    fi
    cp "$copy/kept" "$file"
}

perturb 'RMSNorm' op/rms_norm.rs '*d_x += d_normed * weight * inverse' '*d_x += 1.01 * d_normed * weight * inverse'
perturb 'RMSNorm, the mean term' op/rms_norm.rs '- x * along' '- 1.01 * x * along'
perturb 'RoPE' op/rope.rs 'rotation, -1.0)' 'rotation, -1.01)'
perturb 'SwiGLU, gate' op/swiglu.rs '*d_gate = grad' '*d_gate = 1.01 * grad'
perturb 'SwiGLU, up' op/swiglu.rs '*d_up = grad' '*d_up = 1.01 * grad'
perturb 'attention, scores' kernel/attention_backward.rs '*d = *x * (*d - dot)' '*d = 1.01 * *x * (*d - dot)'
perturb 'attention, queries' kernel/attention_backward.rs '.copy_from_slice(d_query)' '.iter_mut().zip(d_query).for_each(|(a, b)| *a = 1.01 * *b)'
perturb 'attention, keys' kernel/attention_backward.rs '.copy_from_slice(d_key)' '.iter_mut().zip(d_key).for_each(|(a, b)| *a = 1.01 * *b)'
perturb 'attention, values' kernel/attention_backward.rs '.copy_from_slice(d_value)' '.iter_mut().zip(d_value).for_each(|(a, b)| *a = 1.01 * *b)'
perturb 'cross-entropy' op/cross_entropy.rs 'pull(logits, row.largest, target.weight' 'pull(logits, row.largest, 1.01 * target.weight'
scaled='.iter_mut().for_each(|x| *x *= 1.01);'
perturb 'linear, input' layers.rs 'packed, d_x, start);' "packed, d_x, start); d_x$scaled"
perturb 'LoRA, A' layers.rs '.path()))?, d_low, x);' ".path()))?, d_low, x); gradients.of(&a_key(place.layer.path()))?$scaled"
perturb 'LoRA, B' layers.rs '.path()))?, grad, low);' ".path()))?, grad, low); gradients.of(&b_key(place.layer.path()))?$scaled"
perturb 'LoRA, low rank' layers.rs 'scale_columns(d_low, ranks, &places);' "scale_columns(d_low, ranks, &places); d_low$scaled"
perturb 'residual around attention' block.rs 'place(d_output, width, pass.chosen, d_x);' "place(d_output, width, pass.chosen, d_x); d_x$scaled"
perturb 'residual around the MLP' block.rs 'rms_norm::backward(middle' "grad$scaled rms_norm::backward(middle"
exit $missed
