//! The decoder against Hugging Face transformers, on figures that `scripts/make_golden.py` wrote.

#![allow(clippy::unwrap_used)]

mod support;

use candle_core::{DType, Device};
use support::{golden, json, load, rows, total};
use tunewise_model::{Adapter, Decoder};

/// f32 sums in another order; transformers itself differs from f64 by about 1e-6.
const TOLERANCE: f64 = 1e-5;

fn check_rows(
    decoder: &Decoder,
    adapter: Option<&Adapter>,
    expected: &serde_json::Value,
    nll_key: &str,
    logits_key: &str,
) {
    for (index, row) in rows(&expected["rows"]).iter().enumerate() {
        let figures = &expected["rows"][index];
        let scores = decoder.score(adapter, &row.tree(), &row.targets()).unwrap();
        let nll = figures[nll_key].as_f64().unwrap();
        assert!(
            (total(&scores) - nll).abs() <= TOLERANCE * nll,
            "row {index}: {} against {nll}",
            total(&scores)
        );
        if let Some(correct) = figures.get("correct").filter(|_| nll_key == "nll") {
            assert_eq!(
                scores.iter().filter(|s| s.correct).count() as u64,
                correct.as_u64().unwrap()
            );
        }
        let logits = decoder.logits(adapter, &row.tree(), &[row.ids.len() - 1]).unwrap();
        let logits: Vec<f64> =
            logits.to_dtype(DType::F64).unwrap().squeeze(0).unwrap().to_vec1().unwrap();
        for (ours, theirs) in
            logits.iter().zip(figures[logits_key].as_array().into_iter().flatten())
        {
            assert!(
                (ours - theirs.as_f64().unwrap()).abs() < 1e-4,
                "row {index}: {ours} against {theirs}"
            );
        }
    }
}

#[test]
fn every_configuration_gives_the_likelihoods_of_transformers() {
    let mut names: Vec<_> =
        std::fs::read_dir(golden("configs")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 10);
    for name in names {
        let name = name.to_str().unwrap();
        println!("{name}");
        let expected = json(&golden("configs").join(name).join("expected.json"));
        check_rows(&load(name), None, &expected, "nll", "last_logits");
    }
}

#[test]
fn peft_adapters_give_peft_logits_live_and_merged() {
    let cases =
        ["exclude_names", "exclude_pattern", "layers_to_transform", "rslora_patterns", "scale_two"];
    for case in cases {
        println!("{case}");
        let dir = golden("peft_load").join(case);
        let expected = json(&dir.join("expected.json"));
        let base = dir.join(expected["base"].as_str().unwrap());
        let decoder = Decoder::load(&base, tunewise_model::BaseDtype::F32, &Device::Cpu).unwrap();
        let adapter = Adapter::load(&decoder, &dir).unwrap();
        let modules: Vec<(String, f64)> = expected["modules"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(path, module)| (path.clone(), module["scale"].as_f64().unwrap()))
            .collect();
        let ours: Vec<(String, f64)> = adapter
            .paths()
            .map(|path| (path.to_owned(), adapter.pair(path).unwrap().scale))
            .collect();
        assert_eq!(ours.len(), modules.len());
        for (path, scale) in modules {
            assert!((adapter.pair(&path).unwrap().scale - scale).abs() < 1e-12, "{path}");
        }
        check_rows(&decoder, Some(&adapter), &expected, "nll", "last_logits");
        check_rows(
            &decoder.merged(&adapter).unwrap(),
            None,
            &expected,
            "merged_nll",
            "merged_last_logits",
        );
        check_rows(&decoder, None, &expected, "base_nll", "base_last_logits");
    }
}
