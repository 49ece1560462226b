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

perturb 'RMSNorm' op/rms_norm.rs '.broadcast_mul(&inverse)?' '.affine(1.01, 0.0)?.broadcast_mul(&inverse)?'
perturb 'RMSNorm, the mean term' op/rms_norm.rs 'inverse.powf(3.0)?)?' '(inverse.powf(3.0)? * 1.01)?)?'
perturb 'RoPE' op/rope.rs 'turn(grad, &rotation.cos, &rotation.sin.neg()?)' 'turn(&(grad * 1.01)?, &rotation.cos, &rotation.sin.neg()?)'
perturb 'SwiGLU, gate' op/swiglu.rs 'Ok((grad.mul(up)?.mul(&slope)?' 'Ok(((grad.mul(up)?.mul(&slope)? * 1.01)?'
perturb 'SwiGLU, up' op/swiglu.rs 'grad.mul(&silu)?))' '(grad.mul(&silu)? * 1.01)?))'
perturb 'attention, queries and keys' op/attention.rs 'broadcast_sub(&mean)?)? * scale)?' 'broadcast_sub(&mean)?)? * (scale * 1.01))?'
perturb 'attention, keys' op/attention.rs 'd_scores.t()?.matmul(&q)?' '(d_scores.t()?.matmul(&q)? * 1.01)?'
perturb 'attention, values' op/attention.rs 'weights.t()?.matmul(&grad)?' '(weights.t()?.matmul(&grad)? * 1.01)?'
perturb 'cross-entropy' op/cross_entropy.rs 'softmax_last_dim(logits)?' 'softmax_last_dim(&(logits * 1.01)?)?'
perturb 'linear, input' linear.rs 'let d_x = frozen_product(grad, &self.weight)?;' 'let d_x = (frozen_product(grad, &self.weight)? * 1.01)?;'
perturb 'LoRA, A' linear.rs 'd_low.t()?.matmul(&x)?' '(d_low.t()?.matmul(&x)? * 1.01)?'
perturb 'LoRA, B' linear.rs '(grad.t()?.matmul(&low)? * pair.scale)' '(grad.t()?.matmul(&low)? * (pair.scale * 1.01))'
perturb 'LoRA, input' linear.rs 'Ok((d_x + self.dropped(&through, pass)?)?)' 'Ok((d_x + (self.dropped(&through, pass)? * 1.01)?)?)'
perturb 'residual around attention' block.rs 'Ok((d_middle + d_input)?)' 'Ok(((d_middle * 1.01)? + d_input)?)'
perturb 'residual around the MLP' block.rs 'Ok((grad + rms_norm' 'Ok(((grad * 1.01)? + rms_norm'
exit $missed
