//! Run with: cargo run --release --example routing [-- MODEL_DIR]
//!
//! A notebook in the shape of a program: route a customer's message to one of six desks. Prompt first, fine-tune, ask
//! the same held-out messages again, and read what the difference is worth. Without MODEL_DIR it uses a model of 30,000
//! random numbers: it knows nothing, so no prompt can help it, and the run takes seconds.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{bail, Result};
use candle_core::Device;
use tunewise_data::render::RenderMode;
use tunewise_data::{read_file, ReadOptions, Renderer};
use tunewise_infer::{
    compare, AdapterSource, ArmRequest, ComparisonInput, ComparisonOptions, Decoding, LabelLength,
};
use tunewise_model::{Adapter, BaseDtype, Decoder};
use tunewise_train::{run, Event, FaultyRows, Outcome, Recipe};

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let model = std::env::args().nth(1).map(PathBuf::from);
    let model = model.unwrap_or_else(|| root.join("tests/fixtures/tiny-chat"));
    let data = root.join("data/support_routing");
    let output = root.join("target/example-routing");

    println!("1. The data: every row is checked before anything else happens.");
    let answered = ReadOptions { require_answer: true, ..ReadOptions::default() };
    let train_set = read_file(&data.join("train.jsonl"), &answered)?;
    let test_set = read_file(&data.join("test.jsonl"), &answered)?;
    println!(
        "   {} rows to learn from, {} kept aside\n",
        train_set.rows.len(),
        test_set.rows.len()
    );

    println!("2. What the model sees of the first row, through its own chat template:");
    let renderer = Renderer::from_folder(&model)?;
    let Some(first) = train_set.rows.first() else { bail!("no rows") };
    let rendered = renderer.render(&first.example, RenderMode::Training)?;
    println!("{}", rendered.text.trim_end());
    let supervised = rendered.supervised.iter().filter(|on| **on).count();
    println!(
        "   {} tokens, of which the {supervised} of the answer are learned\n",
        rendered.ids.len()
    );

    println!("3. Fine-tuning: an adapter of rank 8 on every linear layer; the model itself stays as it is.");
    let finished = train_adapter(&model, &data, &output)?;
    println!("   loss of the last step: {finished:.3} nats per token\n");

    println!("4. The same held-out messages for the prompts and for the adapter:");
    let decoder = Decoder::load(&model, BaseDtype::F32, &Device::Cpu)?;
    let adapter = Adapter::load(&decoder, &output)?;
    let input = ComparisonInput {
        model: &model.display().to_string(),
        decoder: &decoder,
        renderer: &renderer,
        adapters: &[AdapterSource { path: &output, adapter: &adapter, trained_on: None }],
        train: &train_set,
        test: &test_set,
        system_prompt: None,
    };
    let options = ComparisonOptions {
        arms: vec![ArmRequest::ZeroShot, ArmRequest::FewShot, ArmRequest::Tuned],
        metric: "label-accuracy".parse()?,
        shots: 2,
        limit: None,
        seed: 42,
        decoding: Decoding::greedy(16),
        label_length: LabelLength::Whole,
        resamples: 10_000,
    };
    let report = compare(input, &options, &mut |_| ())?;
    println!("{}", report.table());
    report.write(&output.join("report"))?;
    println!("5. The report with every answer is in {}", output.join("report").display());
    Ok(())
}

/// The loss of the last step.
fn train_adapter(model: &Path, data: &Path, output: &Path) -> Result<f64> {
    let mut recipe = Recipe::default();
    for (key, value) in [
        ("model_name_or_path", model.display().to_string()),
        ("data", data.display().to_string()),
        ("output_dir", output.display().to_string()),
        ("learning_rate", "1e-2".into()),
        ("num_train_epochs", "20".into()),
        ("report_to", "none".into()),
    ] {
        recipe.set(key, &value)?;
    }
    let mut show = |event: Event<'_>| match event {
        Event::Notice(text) => println!("   {text}"),
        Event::Evaluation(figures) => {
            println!(
                "   step {}: {:.3} nats per token on the valid split",
                figures.step, figures.eval_loss
            );
        }
        _ => {}
    };
    match run(&recipe, FaultyRows::Refuse, &AtomicBool::new(false), &mut show)? {
        Outcome::Finished(summary) | Outcome::AlreadyFinished(summary) => Ok(summary.final_loss),
        Outcome::Interrupted { .. } => bail!("interrupted"),
    }
}
