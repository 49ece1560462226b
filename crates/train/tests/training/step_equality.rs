//! Which rows share a step decides the result; how they are computed does not.

use std::path::Path;

use tunewise_model::{Adapter, Checkpointing, Target, TokenTree, TrainingPass};
use tunewise_train::sampler::RowOrder;

use super::tiny::{adapter, decoder, finished, metrics, norm, rows, tensors};

/// Asserts that two runs are one but for the order of f32 sums.
///
/// The first step's loss and norm, from one set of weights, agree to 1e-6. AdamW divides by the root of squared
/// gradients, which enlarges the rounding of small ones: after all steps each tensor's change agrees to 1e-3.
fn assert_same_run(one: &Path, other: &Path) {
    let (first, second) = (&metrics(one)[0], &metrics(other)[0]);
    for key in ["loss", "grad_norm"] {
        let (a, b) = (first[key].as_f64().unwrap(), second[key].as_f64().unwrap());
        assert!((a - b).abs() <= 1e-6 * a.abs(), "{key}: {a} and {b}");
    }
    for key in ["num_tokens", "mean_token_accuracy", "learning_rate", "epoch"] {
        assert_eq!(first[key], second[key], "{key}");
    }
    let decoder = decoder();
    let start = adapter(&decoder);
    let (ours, theirs) = (tensors(one), tensors(other));
    for (key, before) in start.tensors().unwrap() {
        let before: Vec<f32> = before.flatten_all().unwrap().to_vec1().unwrap();
        let (ours, theirs) = (&ours[&key], &theirs[&key]);
        let difference = norm(ours.iter().zip(theirs).map(|(a, b)| a - b));
        let change = norm(ours.iter().zip(&before).map(|(a, b)| a - b));
        assert!(difference <= 1e-3 * change, "{key}: {difference} of {change}");
    }
}

#[test]
fn micro_batches_of_any_size_give_the_run_of_one_batch() {
    let rows = rows(11, 1);
    let whole = finished(&rows, |s| (s.batch_rows, s.accumulation) = (4, 1));
    for sizes in [(2, 2), (1, 4)] {
        let split = finished(&rows, |s| (s.batch_rows, s.accumulation) = sizes);
        assert_same_run(whole.path(), split.path());
    }
}

#[test]
fn packing_does_not_change_the_run() {
    let rows = rows(11, 2);
    let packed = finished(&rows, |s| s.packing = true);
    let single = finished(&rows, |s| s.packing = false);
    assert_same_run(packed.path(), single.path());
}

#[test]
fn layout_does_not_change_a_run_with_dropout() {
    let rows = rows(11, 2);
    let packed = finished(&rows, |s| (s.dropout, s.packing) = (0.2, true));
    let single = finished(&rows, |s| {
        (s.dropout, s.packing, s.batch_rows, s.accumulation) = (0.2, false, 4, 1)
    });
    assert_same_run(packed.path(), single.path());
    let without = finished(&rows, |_| {});
    assert_ne!(metrics(packed.path())[1]["loss"], metrics(without.path())[1]["loss"]);
}

#[test]
fn recomputing_blocks_does_not_change_the_run_by_a_bit() {
    let rows = rows(9, 4);
    let kept = finished(&rows, |s| s.checkpointing = Checkpointing::Keep);
    let again = finished(&rows, |s| s.checkpointing = Checkpointing::Recompute);
    assert_eq!(tensors(kept.path()), tensors(again.path()));
}

#[test]
fn the_last_step_of_an_epoch_is_divided_by_its_own_tokens() {
    // Five rows in file order, four a step: the second step has row 15 alone.
    let five = rows(5, 3);
    let all = finished(&five, |s| {
        (s.order, s.epochs, s.save_steps) = (RowOrder::File, 1.0, Some(1));
    });
    let lines = metrics(all.path());
    assert_eq!(lines.len(), 2);
    let tokens: Vec<u64> = lines.iter().map(|line| line["num_tokens"].as_u64().unwrap()).collect();
    let lengths: Vec<u64> = five.iter().map(|row| row.ids.len() as u64).collect();
    assert_eq!(tokens, [lengths[..4].iter().sum::<u64>(), lengths.iter().sum()]);
    assert_eq!(lines[1]["epoch"], 1.0);

    let decoder = decoder();
    let adapter = Adapter::load(&decoder, &all.path().join("checkpoint-1")).unwrap();
    let row = &five[4];
    let supervised = (1..row.ids.len()).filter(|at| row.supervised[*at]);
    let target = |at: usize| Target { position: at - 1, token: row.ids[at], weight: 1.0 };
    let targets: Vec<Target> = supervised.map(target).collect();
    let tree = TokenTree::single(row.ids.clone()).unwrap();
    let pass = TrainingPass { checkpointing: Checkpointing::Keep, dropout: None };
    let (scores, mut gradients) = decoder.gradients(&adapter, &tree, &targets, &pass).unwrap();
    let count = targets.len() as f64;
    gradients.scale(1.0 / count);
    let loss = scores.iter().map(|score| score.nll).sum::<f64>() / count;
    for (key, expected) in [("loss", loss), ("grad_norm", gradients.global_norm())] {
        let found = lines[1][key].as_f64().unwrap();
        assert!((found - expected).abs() <= 1e-6 * expected, "{key}: {found} and {expected}");
    }
}

#[test]
fn the_seed_decides_the_order_of_rows() {
    let rows = rows(11, 6);
    let losses = |seed| {
        let run = finished(&rows, |s| s.order = RowOrder::Shuffled { seed });
        metrics(run.path()).into_iter().map(|line| line["loss"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(losses(1), losses(1));
    assert_ne!(losses(1), losses(2));
}
