//! Run with: cargo run -p tunewise-model --example logits -- MODEL_DIR ADAPTER_DIR|- IDS.json
//!
//! Prints the logits of token ids as JSON, for comparison with another implementation
//! (`scripts/check_peft_roundtrip.py`). IDS.json is `{"ids": [...]}`.

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::Device;
use tunewise_model::{Adapter, BaseDtype, Decoder, TokenTree};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, adapter, ids] = arguments.as_slice() else {
        anyhow::bail!(
            "expected MODEL_DIR ADAPTER_DIR|- IDS.json, found {} arguments",
            arguments.len()
        );
    };
    let decoder = Decoder::load(Path::new(model), BaseDtype::F32, &Device::Cpu)?;
    let adapter = match adapter.as_str() {
        "-" => None,
        dir => Some(Adapter::load(&decoder, Path::new(dir))?),
    };
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(ids)?)?;
    let ids: Vec<u32> =
        serde_json::from_value(json["ids"].clone()).context("`ids` is not a list of token ids")?;
    let positions: Vec<usize> = (0..ids.len()).collect();
    let logits = decoder.logits(adapter.as_ref(), &TokenTree::single(ids.clone())?, &positions)?;
    println!("{}", serde_json::json!({"ids": ids, "logits": logits.to_vec2::<f32>()?}));
    Ok(())
}
