//! Generation's cache against whole passes, merging against live adapters, and files against what was written.

#![allow(clippy::unwrap_used)]

mod support;

use candle_core::{DType, Device, Tensor};
use support::{adapter, distance, golden, load, rows_with_prefix};
use tunewise_model::merge::write_merged;
use tunewise_model::{
    Adapter, Addition, BaseDtype, Decoder, InitLoraWeights, KvCache, LoraConfig, ModelError,
    TargetModules, TokenTree,
};

fn whole_logits(decoder: &Decoder, adapter: Option<&Adapter>, ids: &[u32]) -> Tensor {
    decoder.logits(adapter, &TokenTree::single(ids.to_vec()).unwrap(), &[ids.len() - 1]).unwrap()
}

#[test]
fn cached_continuations_give_the_logits_of_whole_passes() {
    let decoder = load("rope_llama3");
    let adapter = adapter(&decoder, LoraConfig::default());
    let rows = rows_with_prefix(3, 6, 60);
    let mut cache = KvCache::new();
    let prefix = cache.root(6);
    let children: Vec<_> = rows.iter().map(|_| cache.child(prefix, 20).unwrap()).collect();
    // The prefix and the first child's first two tokens come in one call, the rest one token at a time.
    let first = [
        Addition { node: prefix, ids: rows[0].ids[..6].to_vec() },
        Addition { node: children[0], ids: rows[0].ids[6..8].to_vec() },
    ];
    let logits = decoder.extend(Some(&adapter), &mut cache, &first).unwrap();
    assert!(
        distance(
            &logits.narrow(0, 0, 1).unwrap(),
            &whole_logits(&decoder, Some(&adapter), &rows[0].ids[..6])
        ) < 1e-5
    );
    assert!(
        distance(
            &logits.narrow(0, 1, 1).unwrap(),
            &whole_logits(&decoder, Some(&adapter), &rows[0].ids[..8])
        ) < 1e-5
    );
    for step in 0..3 {
        let additions = [
            Addition { node: children[1], ids: vec![rows[1].ids[6 + step]] },
            Addition { node: children[2], ids: vec![rows[2].ids[6 + step]] },
        ];
        let logits = decoder.extend(Some(&adapter), &mut cache, &additions).unwrap();
        for (n, row) in [1, 2].into_iter().enumerate() {
            let whole = whole_logits(&decoder, Some(&adapter), &rows[row].ids[..7 + step]);
            assert!(
                distance(&logits.narrow(0, n, 1).unwrap(), &whole) < 1e-5,
                "step {step}, row {row}"
            );
        }
    }
    assert_eq!(
        (cache.position(children[0]).unwrap(), cache.position(children[1]).unwrap()),
        (8, 9)
    );
}

#[test]
fn cache_nodes_keep_their_rules() {
    let decoder = load("gqa2_tied");
    let mut cache = KvCache::new();
    let root = cache.root(3);
    let child = cache.child(root, 2).unwrap();
    let extend = |cache: &mut KvCache, node, ids: &[u32]| {
        decoder
            .extend(None, cache, &[Addition { node, ids: ids.to_vec() }])
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    assert_eq!(
        extend(&mut cache, root, &[1, 2, 3, 4]),
        Err("cache node 0: has room for 3 tokens, expected 4".into())
    );
    assert_eq!(
        extend(&mut cache, root, &[]),
        Err("cache node 0: gets no tokens, expected at least one".into())
    );
    assert_eq!(
        extend(&mut cache, root, &[9999]),
        Err("token id 9999 at position 0 is outside the vocabulary of 80".into())
    );
    assert_eq!(extend(&mut cache, root, &[1, 2]), Ok(()));
    assert_eq!(extend(&mut cache, child, &[5]), Ok(()));
    assert_eq!(
        extend(&mut cache, root, &[3]),
        Err("cache node 0: cannot grow, since a child continues it".into())
    );
    assert!(
        matches!(cache.remove(root), Err(ModelError::Cache { node: _, reason }) if reason == "has 1 children, so it cannot be removed")
    );
    cache.remove(child).unwrap();
    cache.remove(root).unwrap();
    assert_eq!(extend(&mut cache, root, &[3]), Err("cache node 0: was removed".into()));
}

#[test]
fn merged_equals_unmerged_when_scale_is_not_one() {
    let decoder = load("mqa_mlp_bias");
    let config = LoraConfig { r: 4, lora_alpha: 10.0, ..LoraConfig::default() };
    let adapter = adapter(&decoder, config);
    assert_eq!(adapter.pair("model.layers.0.mlp.up_proj").unwrap().scale, 2.5);
    let ids = &rows_with_prefix(1, 12, 60)[0].ids;
    let live = whole_logits(&decoder, Some(&adapter), ids);
    let merged = decoder.merged(&adapter).unwrap();
    assert!(distance(&whole_logits(&merged, None, ids), &live) < 1e-5);
    let base = whole_logits(&decoder, None, ids);
    assert!(distance(&live, &base) > 0.05);
    assert!(distance(&whole_logits(&merged.unmerged(&adapter).unwrap(), None, ids), &base) < 1e-4);
}

#[test]
fn an_adapted_head_is_merged_without_the_embedding_that_it_shares_its_weights_with() {
    let decoder = load("gqa2_tied");
    let targets = TargetModules::Pattern("lm_head|.*q_proj".into());
    let adapter =
        adapter(&decoder, LoraConfig { target_modules: targets, ..LoraConfig::default() });
    assert!(adapter.pair("lm_head").is_some());
    let ids = &rows_with_prefix(1, 12, 60)[0].ids;
    let live = whole_logits(&decoder, Some(&adapter), ids);
    let merged = decoder.merged(&adapter).unwrap();
    assert!(distance(&whole_logits(&merged, None, ids), &live) < 1e-5);
}

#[test]
fn a_merged_folder_holds_the_merged_model_in_the_base_format() {
    for name in ["sharded_linear", "bfloat16"] {
        let decoder = load(name);
        let adapter = adapter(&decoder, LoraConfig::default());
        let dir = tempfile::tempdir().unwrap();
        write_merged(&golden("configs").join(name), &adapter, dir.path()).unwrap();
        let files = |path: &std::path::Path| {
            let mut names: Vec<_> =
                std::fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(files(dir.path()), files(&golden("configs").join(name)));
        let read = Decoder::load(dir.path(), BaseDtype::F32, &Device::Cpu).unwrap();
        let ids = &rows_with_prefix(1, 12, 60)[0].ids;
        // bf16 keeps eight bits of each merged weight.
        let tolerance = if name == "bfloat16" { 2e-2 } else { 1e-5 };
        let off =
            distance(&whole_logits(&read, None, ids), &whole_logits(&decoder, Some(&adapter), ids));
        assert!(off < tolerance, "{name}: {off:e}");
    }
}

#[test]
fn a_saved_adapter_is_read_back_bit_for_bit() {
    let decoder = load("mha_untied");
    let config = LoraConfig {
        r: 3,
        lora_alpha: 7.5,
        use_rslora: true,
        target_modules: TargetModules::Names(vec!["q_proj".into(), "mlp.down_proj".into()]),
        rank_pattern: vec![("down_proj".into(), 5)],
        alpha_pattern: vec![("layers.1.self_attn.q_proj".into(), 2.0)],
        layers_to_transform: Some(vec![1]),
        init_lora_weights: InitLoraWeights::Gaussian,
        base_model_name_or_path: Some("some/base".into()),
        ..LoraConfig::default()
    };
    let written = adapter(&decoder, config.clone());
    let dir = tempfile::tempdir().unwrap();
    written.save(dir.path()).unwrap();
    let read = Adapter::load(&decoder, dir.path()).unwrap();
    assert_eq!(read.config(), &config);
    let bits =
        |a: &Adapter| a.matrices().map(|(k, m)| (k, m.values().to_vec())).collect::<Vec<_>>();
    assert_eq!(bits(&read), bits(&written));
    assert_eq!(read.parameter_count(), written.parameter_count());
}

#[test]
fn a_fresh_adapter_changes_nothing_and_depends_only_on_its_seed() {
    let decoder = load("gqa2_tied");
    let fresh = |seed| Adapter::new(&decoder, LoraConfig::default(), seed).unwrap();
    let ids = &rows_with_prefix(1, 5, 60)[0].ids;
    let bits = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(
        bits(&whole_logits(&decoder, Some(&fresh(1)), ids)),
        bits(&whole_logits(&decoder, None, ids))
    );
    let first = |a: &Adapter| a.matrices().next().unwrap().1.values().to_vec();
    assert_eq!(first(&fresh(1)), first(&fresh(1)));
    assert_ne!(first(&fresh(1)), first(&fresh(2)));
    let bound = 1.0 / (decoder.config().hidden_size as f32).sqrt();
    let fresh = fresh(1);
    let a = fresh.pair("model.layers.0.self_attn.q_proj").unwrap().a.values();
    assert!(a.iter().all(|v| v.abs() <= bound) && a.iter().any(|v| v.abs() > 0.8 * bound));
}

#[test]
fn a_bf16_base_stays_close_to_f32() {
    let dir = golden("configs/bfloat16");
    let ids = &rows_with_prefix(1, 12, 60)[0].ids;
    let half = Decoder::load(&dir, BaseDtype::Bf16, &Device::Cpu).unwrap();
    assert_eq!(half.linears().next().unwrap().weight().unwrap().dtype(), DType::BF16);
    let off =
        distance(&whole_logits(&half, None, ids), &whole_logits(&load("bfloat16"), None, ids));
    // The weights are the same; the operands are rounded to eight bits where the processor multiplies bf16.
    let rounds = tunewise_model::Instructions::current().multiplies_bf16();
    assert!(off < 2e-2 && (off > 0.0) == rounds, "{off:e}");
}
