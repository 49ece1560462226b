//! A pass allocates nothing of a batch's size once it has met its largest batch.
//!
//! A file of its own, since the allocator counts whatever its process allocates.

#![allow(clippy::unwrap_used, unsafe_code)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{adapter, load, packed, rows_with_prefix, shared_tree, PLAIN};
use tunewise_model::op::adamw::{self, AdamWFactors};
use tunewise_model::{Checkpointing, Gradients, LoraConfig, TrainingPass};

/// Larger allocations are counted.
const LARGE: usize = 64 << 10;

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

fn count(size: usize) {
    if size > LARGE {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn forward_backward_and_optimizer_allocate_nothing_large_after_the_largest_batch() {
    let decoder = load("gqa2_tied");
    decoder.pack_backward();
    let mut adapter = adapter(&decoder, LoraConfig::default());
    let mut gradients = Gradients::zeros(&adapter);
    let mut moments: Vec<[Vec<f32>; 2]> =
        adapter.shapes().map(|(_, (r, c))| [vec![0.0; r * c], vec![0.0; r * c]]).collect();
    let mut scores = Vec::new();
    // 60 rows of up to 170 tokens: buffers of hundreds of kilobytes even in a model this small.
    let rows = rows_with_prefix(60, 7, 60);
    let batches =
        [packed(&rows), packed(&rows[..20]), shared_tree(&rows, 7), shared_tree(&rows[30..45], 7)];
    let passes = [PLAIN, TrainingPass { checkpointing: Checkpointing::Recompute, ..PLAIN }];
    let factors = AdamWFactors {
        first_share: 0.1,
        second_kept: 0.999,
        second_share: 0.001,
        root_factor: 1.0,
        epsilon: 1e-8,
        rate: 1e-3,
        kept: 1.0,
        gradient_factor: 1.0,
    };
    let mut run = |(tree, targets): &(_, Vec<_>), pass| {
        gradients.clear();
        decoder.add_gradients(&adapter, tree, targets, pass, &mut scores, &mut gradients).unwrap();
        for ((key, matrix), [first, second]) in adapter.matrices_mut().zip(&mut moments) {
            let gradient = gradients.get(&key).unwrap();
            adamw::step(matrix.values_mut(), gradient, first, second, factors);
        }
        scores.iter().map(|score| score.nll).sum::<f64>()
    };
    passes.iter().for_each(|pass| assert!(run(&batches[0], pass).is_finite()));
    // Every thread of the pool has met a task of every kind after some rounds.
    for _ in 0..20 {
        passes.iter().for_each(|pass| assert!(run(&batches[0], pass).is_finite()));
    }
    let before = COUNT.load(Ordering::Relaxed);
    assert!(before > 0);
    // What is handed over of a tree, such as its list of wanted tokens, may be as long as the tree has tokens.
    let tokens = batches[0].0.ids().len() * std::mem::size_of::<usize>();
    assert!(tokens < LARGE);
    for batch in &batches {
        passes.iter().for_each(|pass| assert!(run(batch, pass).is_finite()));
    }
    let large = COUNT.load(Ordering::Relaxed) - before;
    assert_eq!(large, 0, "{large} allocations over {LARGE} bytes");
}
