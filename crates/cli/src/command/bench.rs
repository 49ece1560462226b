//! `tunewise bench`: what this machine reaches with this model, as a share of what its multipliers can do.

use std::time::Instant;

use serde_json::{json, Value};
use tunewise_model::kernel::ceiling::{bf16_ceiling, f32_ceiling};
use tunewise_model::kernel::panels::Panels;
use tunewise_model::kernel::product::{multiply, Left, PackedRows, Part, Right, Start, Term};
use tunewise_model::kernel::view::Rows;
use tunewise_model::{
    Adapter, BaseDtype, Checkpointing, Decoder, Gradients, Instructions, Segment, Target,
    TokenTree, TrainingPass,
};
use tunewise_train::optimizer::{AdamW, AdamWConstants};
use tunewise_train::settings::PIECE_TOKENS;
use tunewise_train::summary::peak_memory_bytes;

use crate::args::bench::BenchArgs;
use crate::exit::Exit;
use crate::model_folder::ModelFolder;
use crate::number::{bytes, rate};
use crate::output::Form;

/// Measures, and prints what was reached.
///
/// # Errors
/// When the model cannot be read.
pub fn run(args: &BenchArgs, form: Form) -> anyhow::Result<Exit> {
    let ceilings = Ceilings { f32: f32_ceiling(args.repeats), bf16: bf16_ceiling(args.repeats) };
    form.text(format_args!(
        "{} threads, {}: at most {} GFLOP/s in f32{}",
        rayon::current_num_threads(),
        Instructions::current(),
        rate(ceilings.f32),
        ceilings.bf16.map_or(String::new(), |bf16| format!(", {} in bf16", rate(bf16))),
    ))?;
    let folder = ModelFolder::at(&args.model.model)?;
    let decoder = folder.decoder(args.model.dtype)?;
    decoder.pack_backward();
    let products = products(&decoder, args, ceilings, form)?;
    let step = train_step(&decoder, args, ceilings, form)?;
    form.json(&json!({
        "threads": rayon::current_num_threads(),
        "instructions": Instructions::current().name(),
        "dtype": dtype_name(&decoder),
        "ceiling_gflops": { "f32": ceilings.f32, "bf16": ceilings.bf16 },
        "products": products,
        "train_step": step,
    }))?;
    Ok(Exit::Done)
}

/// What the multipliers can do, in GFLOP/s.
#[derive(Clone, Copy)]
struct Ceilings {
    f32: f64,
    bf16: Option<f64>,
}

impl Ceilings {
    fn of(self, decoder: &Decoder) -> f64 {
        match (decoder.dtype(), self.bf16) {
            (BaseDtype::Bf16, Some(bf16)) => bf16,
            _ => self.f32,
        }
    }
}

fn dtype_name(decoder: &Decoder) -> &'static str {
    match decoder.dtype() {
        BaseDtype::F32 => "f32",
        BaseDtype::Bf16 => "bf16",
    }
}

/// The product of each shape in the model, in both directions.
fn products(
    decoder: &Decoder,
    args: &BenchArgs,
    ceilings: Ceilings,
    form: Form,
) -> anyhow::Result<Vec<Value>> {
    let mut shapes: Vec<(usize, usize)> =
        decoder.linears().map(|linear| (linear.inputs(), linear.outputs())).collect();
    shapes.sort_unstable();
    shapes.dedup();
    let tokens = args.step.rows * args.step.tokens;
    let mut found = Vec::new();
    for (inputs, outputs) in shapes {
        for (direction, k, n) in [("forward", inputs, outputs), ("backward", outputs, inputs)] {
            let gflops = product_rate(decoder, tokens, k, n, args.repeats);
            let share = gflops / ceilings.of(decoder);
            form.text(format_args!(
                "{direction:8} {tokens} x {k} x {n}: {} GFLOP/s, {:.0} % of the ceiling",
                rate(gflops),
                100.0 * share
            ))?;
            found.push(json!({
                "direction": direction, "tokens": tokens, "k": k, "n": n, "gflops": gflops, "share": share,
            }));
        }
    }
    Ok(found)
}

/// The median rate of a product with packed weights, in GFLOP/s.
fn product_rate(decoder: &Decoder, m: usize, k: usize, n: usize, repeats: usize) -> f64 {
    let number = |i: usize| (i as f32 * 0.37).sin();
    let x: Vec<f32> = (0..m * k).map(number).collect();
    let panels = match decoder.dtype() {
        BaseDtype::F32 => Panels::f32(k, n, |step, column| number(step * n + column)),
        BaseDtype::Bf16 => {
            Panels::bf16(k, n, |step, column| half::bf16::from_f32(number(step * n + column)))
        }
    };
    let rounds = panels.is_bf16() && Instructions::current().multiplies_bf16();
    let mut out = vec![0.0; m * n];
    let mut packed = PackedRows::default();
    let work = 2.0 * (m * k * n) as f64;
    // At least a few milliseconds each time.
    let inner = (2e8 / work).ceil() as usize;
    let seconds = median(repeats, || {
        for _ in 0..inner {
            let rows = Rows::dense(&x, m, k);
            let left = if rounds {
                packed.pack(rows);
                Left::Bf16(&packed)
            } else {
                Left::Rows(rows)
            };
            let terms = [Term { left, right: Right::Panels(&panels) }];
            multiply(&mut out, n, m, &[Part { column: 0, columns: n, terms: &terms }], Start::Zero);
        }
    });
    work * inner as f64 / seconds / 1e9
}

/// Rows of random tokens through forward, backward and optimizer.
fn train_step(
    decoder: &Decoder,
    args: &BenchArgs,
    ceilings: Ceilings,
    form: Form,
) -> anyhow::Result<Value> {
    let config = tunewise_model::LoraConfig { r: args.r, ..tunewise_model::LoraConfig::default() };
    let mut adapter = Adapter::new(decoder, config, 0)?;
    let mut gradients = Gradients::zeros(&adapter);
    let constants = AdamWConstants { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
    let mut optimizer = AdamW::new(constants);
    let pieces = random_pieces(decoder, args.step.rows, args.step.tokens)?;
    let pass = TrainingPass { checkpointing: Checkpointing::Keep, dropout: None };
    let mut scores = Vec::new();
    let mut fault = None;
    let tokens = args.step.rows * args.step.tokens;
    let seconds = median(args.repeats, || {
        gradients.clear();
        let mut step = || -> anyhow::Result<()> {
            for (tree, targets) in &pieces {
                decoder.add_gradients(
                    &adapter,
                    tree,
                    targets,
                    &pass,
                    &mut scores,
                    &mut gradients,
                )?;
            }
            let tensors = adapter.matrices_mut();
            Ok(optimizer.step(tensors, &gradients, 1.0 / tokens as f64, 1e-4)?)
        };
        fault = step().err();
    });
    if let Some(fault) = fault {
        return Err(fault);
    }
    let tokens_per_second = tokens as f64 / seconds;
    // Forward and gradient of the input, a multiplication and an addition each; the first block's input needs none.
    let gflops = 4.0 * matrix_parameters(decoder) as f64 * tokens_per_second / 1e9;
    let share = gflops / ceilings.of(decoder);
    let peak = peak_memory_bytes();
    form.text(format_args!(
        "training step {} x {} tokens, r {}: {} tokens/s, {} GFLOP/s in frozen products, {:.0} % of the ceiling{}",
        args.step.rows,
        args.step.tokens,
        args.r,
        rate(tokens_per_second),
        rate(gflops),
        100.0 * share,
        peak.map_or(String::new(), |peak| format!("; peak memory {}", bytes(peak))),
    ))?;
    Ok(json!({
        "rows": args.step.rows, "tokens": args.step.tokens, "r": args.r, "seconds": seconds,
        "tokens_per_second": tokens_per_second, "gflops": gflops, "share": share, "peak_memory_bytes": peak,
    }))
}

fn matrix_parameters(decoder: &Decoder) -> usize {
    decoder.linears().map(|linear| linear.inputs() * linear.outputs()).sum()
}

/// Rows of pseudo-random tokens, all supervised, cut into the pieces that training works through.
fn random_pieces(
    decoder: &Decoder,
    rows: usize,
    tokens: usize,
) -> anyhow::Result<Vec<(TokenTree, Vec<Target>)>> {
    let mut state = 7u64;
    let vocabulary = decoder.config().vocab_size as u64;
    let mut token = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((state >> 33) % vocabulary) as u32
    };
    let per_piece = (PIECE_TOKENS / tokens).max(1);
    let mut pieces = Vec::new();
    let mut left = rows;
    while left > 0 {
        let count = per_piece.min(left);
        left -= count;
        let ids: Vec<u32> = (0..count * tokens).map(|_| token()).collect();
        let segments = (0..count).map(|row| Segment::root(row * tokens, tokens, row)).collect();
        let targets = (0..count * tokens)
            .map(|position| Target { position, token: token(), weight: 1.0 })
            .collect();
        pieces.push((TokenTree::new(ids, segments)?, targets));
    }
    Ok(pieces)
}

/// The median time of `run`, in seconds, after one that is not counted.
fn median(repeats: usize, mut run: impl FnMut()) -> f64 {
    run();
    let mut seconds: Vec<f64> = (0..repeats.max(1))
        .map(|_| {
            let begin = Instant::now();
            run();
            begin.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
