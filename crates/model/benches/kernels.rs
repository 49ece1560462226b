//! Run with: `cargo bench -p tunewise-model`
//!
//! Kernels at the shapes of a 135M model, in pieces of 512 tokens as training has them. Products and attention are
//! shares of what the multipliers can do, ops that do little with each number shares of the rate of a copy. Weights are
//! used in turn, so that each is read from memory as in a pass through the layers.

mod share;

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, Throughput};
use share::ShareOfCeiling;
use tunewise_model::kernel::attention::Heads;
use tunewise_model::kernel::panels::Panels;
use tunewise_model::kernel::product::{multiply, Left, Part, Right, Start, Term};
use tunewise_model::kernel::view::Rows;
use tunewise_model::op::adamw::{self, AdamWFactors};
use tunewise_model::op::{attention, cross_entropy, rms_norm, rope, swiglu};
use tunewise_model::{Segment, Target, TargetScore, TokenTree};

const TOKENS: usize = 512;
const WIDTH: usize = 576;
const MLP: usize = 1536;
const VOCABULARY: usize = 49_152;
const HEADS: Heads = Heads { queries: 9, groups: 3, width: 64 };
const QKV: usize = (HEADS.queries + 2 * HEADS.groups) * HEADS.width;
const RANK: usize = 8;
/// Weights of one shape that take turns.
const LAYERS: usize = 12;
/// Rows of logits that exist at a time.
const LOGITS: usize = 170;

type Group<'c> = BenchmarkGroup<'c, ShareOfCeiling>;

fn main() -> anyhow::Result<()> {
    let share = ShareOfCeiling::measured();
    println!("{share}");
    let mut criterion = Criterion::default().with_measurement(share).configure_from_args();
    let mut group = criterion.benchmark_group("products");
    products(&mut group);
    head_products(&mut group);
    adapter_products(&mut group);
    group.finish();
    let mut group = criterion.benchmark_group("attention");
    attentions(&mut group)?;
    group.finish();
    let mut group = criterion.benchmark_group("ops");
    norms(&mut group);
    activations(&mut group);
    rotations(&mut group);
    losses(&mut group);
    optimizers(&mut group);
    group.finish();
    criterion.final_summary();
    Ok(())
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i % 1013) as f32 * 0.37).sin()).collect()
}

fn weights(k: usize, n: usize, count: usize) -> Vec<Panels> {
    let number = |step: usize, column: usize| ((step * 31 + column) % 1013) as f32 * 1e-3 - 0.5;
    (0..count).map(|_| Panels::f32(k, n, number)).collect()
}

/// Times a product of `m` rows with each of some weights in turn.
fn time_product(group: &mut Group<'_>, name: &str, m: usize, weights: &[Panels]) {
    let (k, n) = (weights[0].steps(), weights[0].columns());
    let (x, mut out) = (numbers(m * k), vec![0.0; m * n]);
    let mut layers = weights.iter().cycle();
    group.throughput(Throughput::Elements(2 * (m * k * n) as u64));
    group.bench_function(format!("{name} {m} x {k} x {n}"), |b| {
        b.iter(|| {
            let right = layers.next().map(Right::Panels).unwrap_or(Right::Panels(&weights[0]));
            let terms = [Term { left: Left::Rows(Rows::dense(&x, m, k)), right }];
            multiply(&mut out, n, m, &[Part { column: 0, columns: n, terms: &terms }], Start::Zero);
        });
    });
}

fn products(group: &mut Group<'_>) {
    for (name, k, n) in [
        ("query, key, value", WIDTH, QKV),
        ("output", WIDTH, WIDTH),
        ("gate and up", WIDTH, 2 * MLP),
        ("down", MLP, WIDTH),
    ] {
        time_product(group, &format!("{name}, forward"), TOKENS, &weights(k, n, LAYERS));
        time_product(group, &format!("{name}, backward"), TOKENS, &weights(n, k, LAYERS));
    }
}

fn head_products(group: &mut Group<'_>) {
    time_product(group, "head, forward", LOGITS, &weights(WIDTH, VOCABULARY, 1));
    time_product(group, "head, backward", LOGITS, &weights(VOCABULARY, WIDTH, 1));
}

/// The thin products of an adapter: into the low rank, and the gradient of its factor A.
fn adapter_products(group: &mut Group<'_>) {
    let (x, low, a) = (numbers(TOKENS * WIDTH), numbers(TOKENS * RANK), numbers(RANK * WIDTH));
    let (x, low) = (Rows::dense(&x, TOKENS, WIDTH), Rows::dense(&low, TOKENS, RANK));
    let mut time = |name: &str, m: usize, n: usize, left, right| {
        let mut out = vec![0.0; m * n];
        let terms = [Term { left, right }];
        group.throughput(Throughput::Elements(2 * (TOKENS * RANK * WIDTH) as u64));
        group.bench_function(name, |b| {
            let part = [Part { column: 0, columns: n, terms: &terms }];
            b.iter(|| multiply(&mut out, n, m, &part, Start::Zero));
        });
    };
    let down = Right::Columns(Rows::dense(&a, RANK, WIDTH));
    time("adapter, into rank 8", TOKENS, RANK, Left::Rows(x), down);
    time("adapter, gradient of A", RANK, WIDTH, Left::Columns(low), Right::Rows(x));
}

/// Two rows of 256 tokens. A pair of tokens that see each other is counted once a head, without the masked half.
fn attentions(group: &mut Group<'_>) -> anyhow::Result<()> {
    let half = TOKENS / 2;
    let segments = vec![Segment::root(0, half, 0), Segment::root(half, half, 1)];
    let tree = TokenTree::new((0..TOKENS as u32).collect(), segments)?;
    let width = HEADS.queries * HEADS.width;
    let (qkv, grad) = (numbers(TOKENS * QKV), numbers(TOKENS * width));
    let (mut out, mut log_sums) = (vec![0.0; TOKENS * width], vec![0.0; TOKENS * HEADS.queries]);
    let pairs = 2 * half * (half + 1) / 2 * HEADS.queries;
    // Scores and gathered values; the backward has scores again and four gradients.
    let product = 2 * (pairs * HEADS.width) as u64;
    group.throughput(Throughput::Elements(2 * product));
    group.bench_function("forward", |b| {
        b.iter(|| attention::forward(&qkv, &tree, HEADS, &mut out, &mut log_sums));
    });
    let (mut d_qkv, mut dots) = (vec![0.0; TOKENS * QKV], vec![0.0; TOKENS * HEADS.queries]);
    group.throughput(Throughput::Elements(5 * product));
    group.bench_function("backward", |b| {
        let trace = attention::Trace { qkv: &qkv, out: &out, log_sums: &log_sums };
        b.iter(|| attention::backward(trace, &tree, HEADS, &grad, &mut d_qkv, &mut dots));
    });
    Ok(())
}

/// Times an op that reads and writes `numbers` numbers in all.
fn time_op(group: &mut Group<'_>, name: &str, numbers: usize, mut run: impl FnMut()) {
    group.throughput(Throughput::Bytes(4 * numbers as u64));
    group.bench_function(name, |b| b.iter(&mut run));
}

fn norms(group: &mut Group<'_>) {
    let (x, grad, weight) = (numbers(TOKENS * WIDTH), numbers(TOKENS * WIDTH), numbers(WIDTH));
    let (mut normed, mut inverse) = (vec![0.0; TOKENS * WIDTH], vec![0.0; TOKENS]);
    time_op(group, "RMSNorm, forward", 2 * x.len(), || {
        rms_norm::forward(&x, &weight, 1e-5, &mut normed, &mut inverse);
    });
    time_op(group, "RMSNorm, backward", 4 * x.len(), || {
        rms_norm::backward(&x, &weight, &inverse, &grad, black_box(&mut normed));
    });
}

fn activations(group: &mut Group<'_>) {
    let (gate_up, grad) = (numbers(TOKENS * 2 * MLP), numbers(TOKENS * MLP));
    let (mut activated, mut d_gate_up) = (vec![0.0; grad.len()], vec![0.0; gate_up.len()]);
    time_op(group, "SwiGLU, forward", 3 * grad.len(), || {
        swiglu::forward(&gate_up, MLP, &mut activated);
    });
    time_op(group, "SwiGLU, backward", 5 * grad.len(), || {
        swiglu::backward(&gate_up, MLP, &grad, &mut d_gate_up);
    });
}

fn rotations(group: &mut Group<'_>) {
    let frequencies = numbers(HEADS.width / 2);
    let rotation = rope::Rotation::new(&frequencies, &(0..TOKENS).collect::<Vec<_>>());
    let (mut qkv, turned) = (numbers(TOKENS * QKV), HEADS.queries + HEADS.groups);
    time_op(group, "RoPE", 2 * TOKENS * turned * HEADS.width, || {
        rope::forward(&mut qkv, QKV, turned, &rotation);
    });
}

fn losses(group: &mut Group<'_>) {
    let mut logits = numbers(LOGITS * VOCABULARY);
    let targets: Vec<Target> =
        (0..LOGITS).map(|position| Target { position, token: 7, weight: 1.0 }).collect();
    let mut scores = vec![TargetScore { nll: 0.0, correct: false }; LOGITS];
    time_op(group, "cross-entropy, forward and backward", 2 * logits.len(), || {
        cross_entropy::forward_and_backward(&mut logits, VOCABULARY, &targets, &mut scores);
    });
}

fn optimizers(group: &mut Group<'_>) {
    let factors = AdamWFactors {
        first_share: 0.1,
        second_kept: 0.999,
        second_share: 0.001,
        root_factor: 1.0,
        epsilon: 1e-8,
        rate: 1e-4,
        kept: 1.0,
        gradient_factor: 1.0,
    };
    let count = RANK * (WIDTH + MLP);
    let (mut parameter, gradient) = (numbers(count), numbers(count));
    let (mut first, mut second) = (vec![0.0; count], vec![0.0; count]);
    time_op(group, "AdamW, one tensor by one thread", 7 * count, || {
        adamw::step(&mut parameter, &gradient, &mut first, &mut second, factors);
    });
}
