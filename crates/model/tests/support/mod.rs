//! Golden models, adapters and rows for the tests of this crate.
// Each test binary uses its own part.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use tunewise_model::{
    Adapter, BaseDtype, Checkpointing, Decoder, Gradients, LoraConfig, Segment, Target,
    TargetScore, TokenTree, TrainingPass,
};

pub const PLAIN: TrainingPass = TrainingPass { checkpointing: Checkpointing::Keep, dropout: None };

/// A tokenized row and the places of its supervised tokens.
#[derive(Debug, Clone)]
pub struct Row {
    pub ids: Vec<u32>,
    pub supervised: Vec<usize>,
}

impl Row {
    pub fn tree(&self) -> TokenTree {
        TokenTree::single(self.ids.clone()).unwrap()
    }

    pub fn targets(&self) -> Vec<Target> {
        self.supervised
            .iter()
            .map(|t| Target { position: t - 1, token: self.ids[*t], weight: 1.0 })
            .collect()
    }
}

pub fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(path)
}

pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub fn rows(value: &Value) -> Vec<Row> {
    let numbers =
        |v: &Value| v.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect::<Vec<_>>();
    let row = |v: &Value| Row {
        ids: numbers(&v["ids"]).into_iter().map(|n| n as u32).collect(),
        supervised: numbers(&v["supervised"]).into_iter().map(|n| n as usize).collect(),
    };
    value.as_array().unwrap().iter().map(row).collect()
}

pub fn load(name: &str) -> Decoder {
    Decoder::load(&golden("configs").join(name), BaseDtype::F32, &Device::Cpu).unwrap()
}

/// An adapter whose B is not zero, so that every gradient path is open.
pub fn adapter(decoder: &Decoder, config: LoraConfig) -> Adapter {
    let mut adapter = Adapter::new(decoder, config, 3).unwrap();
    let keys: Vec<(String, Vec<usize>)> =
        adapter.shapes().map(|(k, (rows, columns))| (k, vec![rows, columns])).collect();
    for (n, (key, shape)) in keys.into_iter().enumerate() {
        let count: usize = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|i| 0.3 * ((i * 7 + n * 13) as f32 * 0.37).sin()).collect();
        adapter.set_tensor(&key, Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap();
    }
    adapter
}

/// Rows of pseudo-random tokens that share their first `shared` ones.
pub fn rows_with_prefix(count: usize, shared: usize, vocabulary: u32) -> Vec<Row> {
    let mut state = 0x1234_5678_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let prefix: Vec<u32> = (0..shared).map(|_| next() % vocabulary).collect();
    (0..count)
        .map(|row| {
            let own = 3 + row * 2;
            let ids: Vec<u32> =
                prefix.iter().copied().chain((0..own).map(|_| next() % vocabulary)).collect();
            let supervised = (shared.max(1)..ids.len()).filter(|t| (t + row) % 3 != 0).collect();
            Row { ids, supervised }
        })
        .collect()
}

/// Rows side by side, each a root of its own.
pub fn packed(rows: &[Row]) -> (TokenTree, Vec<Target>) {
    let (mut ids, mut segments, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for (n, row) in rows.iter().enumerate() {
        let start = ids.len();
        segments.push(Segment::root(start, row.ids.len(), n));
        targets.extend(
            row.targets().into_iter().map(|t| Target { position: t.position + start, ..t }),
        );
        ids.extend(&row.ids);
    }
    (TokenTree::new(ids, segments).unwrap(), targets)
}

/// The same rows with their first `shared` tokens as one parent.
pub fn shared_tree(rows: &[Row], shared: usize) -> (TokenTree, Vec<Target>) {
    let mut ids = rows[0].ids[..shared].to_vec();
    let mut segments = vec![Segment::root(0, shared, 0)];
    let mut targets = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        let start = ids.len();
        segments.push(Segment::child(start, row.ids.len() - shared, 0, n));
        targets.extend(row.targets().into_iter().map(|t| {
            let position =
                if t.position < shared { t.position } else { t.position - shared + start };
            Target { position, ..t }
        }));
        ids.extend(&row.ids[shared..]);
    }
    (TokenTree::new(ids, segments).unwrap(), targets)
}

/// Gradients summed over rows that are computed one by one.
pub fn one_by_one(decoder: &Decoder, adapter: &Adapter, rows: &[Row]) -> (f64, Gradients) {
    let mut nll = 0.0;
    let mut sum = Gradients::default();
    for row in rows {
        let (scores, gradients) =
            decoder.gradients(adapter, &row.tree(), &row.targets(), &PLAIN).unwrap();
        nll += total(&scores);
        sum.add(gradients).unwrap();
    }
    (nll, sum)
}

pub fn total(scores: &[TargetScore]) -> f64 {
    scores.iter().map(|s| s.nll).sum()
}

/// ‖a − b‖ / ‖b‖.
pub fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
    let norm = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt();
    norm(&(wide(a) - wide(b)).unwrap()) / norm(&wide(b)).max(1e-30)
}

/// Asserts that the same tensors are within `tolerance` of one another.
pub fn assert_close(ours: &Gradients, theirs: &Gradients, tolerance: f64) {
    let keys = |g: &Gradients| g.iter().map(|(k, _)| k.to_owned()).collect::<Vec<_>>();
    assert_eq!(keys(ours), keys(theirs));
    for (key, _) in ours.iter() {
        let off = distance(&ours.tensor(key).unwrap(), &theirs.tensor(key).unwrap());
        assert!(off < tolerance, "{key}: {off:e}");
    }
}
