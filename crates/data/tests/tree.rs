//! Token trees hold every row whole, once per common beginning, and predict every supervised token.

use tunewise_data::tokenize::TokenExample;
use tunewise_data::tree::MIN_SHARED;
use tunewise_data::{lay_out, PackedBatch, PrefixSharing, Segment, Target};

fn row(ids: &[u32]) -> TokenExample {
    TokenExample {
        line: 1,
        ids: ids.to_vec(),
        supervised: (0..ids.len()).map(|at| at > 0).collect(),
    }
}

fn laid(rows: &[TokenExample], sharing: PrefixSharing) -> PackedBatch {
    lay_out(&rows.iter().collect::<Vec<_>>(), sharing)
}

fn shared(rows: &[&[u32]]) -> PackedBatch {
    let rows: Vec<TokenExample> = rows.iter().map(|ids| row(ids)).collect();
    check(&rows, PrefixSharing::Share)
}

fn segment(start: usize, len: usize, parent: Option<usize>, row: usize) -> Segment {
    Segment { start, len, parent, row }
}

fn predicts(position: usize, token: u32, row: usize) -> Target {
    Target { position, token, weight: 1.0, row }
}

/// The flat indices of every chain of ancestors that ends in a segment.
fn chain(batch: &PackedBatch, segment: usize) -> Vec<usize> {
    let Segment { start, len, parent, .. } = batch.segments[segment];
    let mut indices = parent.map_or(Vec::new(), |parent| chain(batch, parent));
    indices.extend(start..start + len);
    indices
}

/// Lays the rows out and holds the result against what each row says by itself.
fn check(rows: &[TokenExample], sharing: PrefixSharing) -> PackedBatch {
    let batch = laid(rows, sharing);
    let mut end = 0;
    for (index, segment) in batch.segments.iter().enumerate() {
        assert_eq!(segment.start, end, "segments tile the ids");
        assert!(segment.len > 0, "no segment is empty");
        assert!(segment.parent.is_none_or(|parent| parent < index), "parents come first");
        end += segment.len;
    }
    assert_eq!(end, batch.ids.len());

    let chains: Vec<Vec<usize>> = (0..batch.segments.len()).map(|at| chain(&batch, at)).collect();
    let positions = batch.positions();
    for chain in &chains {
        assert!(chain.iter().enumerate().all(|(at, &index)| positions[index] == at));
    }

    let mut targets = batch.targets.iter();
    for (index, row) in rows.iter().enumerate() {
        let wanted: Vec<usize> = (1..row.ids.len()).filter(|&at| row.supervised[at]).collect();
        let own: Vec<&Target> = targets.by_ref().take(wanted.len()).collect();
        let found = chains.iter().any(|chain| {
            let ids = chain.iter().map(|&at| batch.ids[at]).take(row.ids.len());
            ids.eq(row.ids.iter().copied())
                && own.iter().zip(&wanted).all(|(target, &at)| target.position == chain[at - 1])
        });
        assert!(found || row.ids.is_empty(), "row {index} lies whole on one chain: {batch:?}");
        for (target, &at) in own.iter().zip(&wanted) {
            assert_eq!(**target, predicts(target.position, row.ids[at], index));
        }
    }
    assert_eq!(targets.next(), None);
    assert_eq!(batch.row_count, rows.len());
    assert_eq!(batch.row_tokens, rows.iter().map(|row| row.ids.len()).sum::<usize>());
    batch
}

#[test]
fn a_common_prompt_is_laid_once_and_predicts_the_first_token_of_both_answers() {
    let batch = shared(&[&[1, 2, 3, 4, 5, 10, 11], &[1, 2, 3, 4, 5, 20]]);
    assert_eq!(batch.ids, [1, 2, 3, 4, 5, 10, 11, 20]);
    assert_eq!(
        batch.segments,
        [segment(0, 5, None, 0), segment(5, 2, Some(0), 0), segment(7, 1, Some(0), 1)]
    );
    assert_eq!(
        batch.targets,
        [
            predicts(0, 2, 0),
            predicts(1, 3, 0),
            predicts(2, 4, 0),
            predicts(3, 5, 0),
            predicts(4, 10, 0),
            predicts(5, 11, 0),
            predicts(0, 2, 1),
            predicts(1, 3, 1),
            predicts(2, 4, 1),
            predicts(3, 5, 1),
            predicts(4, 20, 1),
        ]
    );
    assert_eq!(batch.positions(), [0, 1, 2, 3, 4, 5, 6, 5]);
    assert_eq!((batch.row_tokens, batch.saved_prefix_tokens()), (13, 5));
}

#[test]
fn only_supervised_tokens_are_targets() {
    let mut rows = [row(&[7, 8, 9, 10])];
    rows[0].supervised = vec![false, false, true, false];
    assert_eq!(check(&rows, PrefixSharing::Separate).targets, [predicts(1, 9, 0)]);
}

#[test]
fn sharing_nests_to_any_depth() {
    let batch = shared(&[
        &[1, 1, 1, 1, 2, 2, 2, 2, 5],
        &[1, 1, 1, 1, 3],
        &[1, 1, 1, 1, 2, 2, 2, 2, 6],
        &[9],
    ]);
    assert_eq!(
        batch.segments,
        [
            segment(0, 4, None, 0),
            segment(4, 4, Some(0), 0),
            segment(8, 1, Some(1), 0),
            segment(9, 1, Some(1), 2),
            segment(10, 1, Some(0), 1),
            segment(11, 1, None, 3),
        ]
    );
    assert_eq!(batch.ids, [1, 1, 1, 1, 2, 2, 2, 2, 5, 6, 3, 9]);
    assert_eq!(batch.saved_prefix_tokens(), 12);
}

#[test]
fn three_common_tokens_are_not_worth_a_branch_and_four_are() {
    assert_eq!(MIN_SHARED, 4);
    let batch = shared(&[&[1, 2, 3, 10], &[1, 2, 3, 20]]);
    assert_eq!(batch.segments, [segment(0, 4, None, 0), segment(4, 4, None, 1)]);
    assert_eq!(batch.saved_prefix_tokens(), 0);
    assert_eq!(shared(&[&[1, 2, 3, 4, 10], &[1, 2, 3, 4, 20]]).saved_prefix_tokens(), 4);
}

#[test]
fn a_branch_counts_from_the_end_of_what_is_shared_already() {
    let batch = shared(&[
        &[1, 1, 1, 1, 2, 2, 2, 5],
        &[1, 1, 1, 1, 2, 2, 2, 6],
        &[1, 1, 1, 1, 3, 3, 3, 3, 7],
        &[1, 1, 1, 1, 3, 3, 3, 3, 8],
    ]);
    assert_eq!(
        batch.segments,
        [
            segment(0, 4, None, 0),
            segment(4, 4, Some(0), 0),
            segment(8, 4, Some(0), 1),
            segment(12, 4, Some(0), 2),
            segment(16, 1, Some(3), 2),
            segment(17, 1, Some(3), 3),
        ]
    );
    assert_eq!(batch.saved_prefix_tokens(), 16);
}

#[test]
fn rows_that_share_too_little_may_share_more_among_themselves() {
    let batch = shared(&[&[1, 2, 2, 2, 7], &[1, 3], &[1, 2, 2, 2, 8]]);
    assert_eq!(batch.ids, [1, 2, 2, 2, 7, 8, 1, 3]);
    assert_eq!(
        batch.segments,
        [
            segment(0, 4, None, 0),
            segment(4, 1, Some(0), 0),
            segment(5, 1, Some(0), 2),
            segment(6, 2, None, 1),
        ]
    );
}

#[test]
fn a_row_that_begins_another_lies_inside_it() {
    let batch = shared(&[&[1, 2, 3, 4, 5, 6, 7], &[1, 2, 3, 4]]);
    assert_eq!(batch.segments, [segment(0, 7, None, 0)]);
    assert_eq!(batch.targets[6..], [predicts(0, 2, 1), predicts(1, 3, 1), predicts(2, 4, 1)]);
    assert_eq!(batch.saved_prefix_tokens(), 4);

    let three = shared(&[&[1, 2, 3], &[1, 2, 3, 4, 5], &[1, 2, 3, 4, 6]]);
    assert_eq!(three.saved_prefix_tokens(), 4);
    assert_eq!(three.segments.len(), 4);
}

#[test]
fn identical_rows_are_laid_once_and_keep_their_own_targets() {
    let batch = shared(&[&[1, 2, 3, 4], &[1, 2, 3, 4], &[1, 2, 3, 4]]);
    assert_eq!(batch.segments, [segment(0, 4, None, 0)]);
    assert_eq!(batch.saved_prefix_tokens(), 8);
    assert_eq!(batch.targets[3..6], [predicts(0, 2, 1), predicts(1, 3, 1), predicts(2, 4, 1)]);
    assert_eq!(shared(&[&[1, 2], &[1, 2]]).saved_prefix_tokens(), 0);
}

#[test]
fn rows_without_tokens_take_no_place() {
    let batch = shared(&[&[], &[5], &[]]);
    assert_eq!(batch.segments, [segment(0, 1, None, 1)]);
    assert_eq!((batch.targets.len(), batch.row_count), (0, 3));
    assert_eq!(shared(&[]), PackedBatch::default());
    let separate = check(&[row(&[]), row(&[5])], PrefixSharing::Separate);
    assert_eq!(separate.segments, [segment(0, 1, None, 1)]);
}

#[test]
fn separate_rows_lie_in_order_and_share_nothing() {
    let rows = [row(&[3, 3, 3, 3, 3]), row(&[1, 2]), row(&[3, 3, 3, 3, 3])];
    let batch = check(&rows, PrefixSharing::Separate);
    assert_eq!(
        batch.segments,
        [segment(0, 5, None, 0), segment(5, 2, None, 1), segment(7, 5, None, 2)]
    );
    assert_eq!(batch.saved_prefix_tokens(), 0);
    let unlike = [row(&[9, 1, 1, 1, 1]), row(&[4, 1]), row(&[6, 1, 1, 1, 1])];
    assert_eq!(laid(&unlike, PrefixSharing::Share), laid(&unlike, PrefixSharing::Separate));
}

#[test]
fn a_tree_as_deep_as_its_rows_are_many_is_laid() {
    let rows: Vec<TokenExample> = (0..2000_usize)
        .map(|at| {
            let mut ids = vec![1; 4 * at];
            ids.push(2);
            row(&ids)
        })
        .collect();
    let batch = laid(&rows, PrefixSharing::Share);
    // One token for each row's end, and the longest run of ones once.
    assert_eq!(batch.ids.len(), 2000 + 4 * 1999);
}

/// Numbers that look random and are the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn rows(&mut self) -> Vec<TokenExample> {
        let alphabet = 1 + self.below(3);
        let mut rows: Vec<TokenExample> = Vec::new();
        for _ in 0..1 + self.below(12) {
            let mut ids = Vec::new();
            if !rows.is_empty() && self.below(2) == 0 {
                let other = &rows[self.below(rows.len() as u64) as usize].ids;
                ids.extend(&other[..self.below(other.len() as u64 + 1) as usize]);
            }
            ids.extend((0..self.below(10)).map(|_| self.below(alphabet) as u32));
            let supervised = (0..ids.len()).map(|at| at > 0 && self.below(3) > 0).collect();
            rows.push(TokenExample { line: 1, ids, supervised });
        }
        rows
    }
}

/// The fewest tokens that any sharing could lay: the different beginnings of the rows.
fn distinct_prefixes(rows: &[TokenExample]) -> usize {
    let prefixes: std::collections::BTreeSet<&[u32]> =
        rows.iter().flat_map(|row| (1..=row.ids.len()).map(|end| &row.ids[..end])).collect();
    prefixes.len()
}

#[test]
fn every_row_lies_whole_whatever_the_rows_are() {
    let mut saved = 0;
    for seed in 0..4000 {
        let rows = Numbers(seed).rows();
        let separate = check(&rows, PrefixSharing::Separate);
        assert_eq!(separate.ids.len(), separate.row_tokens);
        let batch = check(&rows, PrefixSharing::Share);
        assert_eq!(batch, laid(&rows, PrefixSharing::Share), "the same rows lie the same way");
        assert!(batch.ids.len() >= distinct_prefixes(&rows));
        for segment in &batch.segments {
            let children = batch.segments.iter().filter(|other| {
                other.parent.is_some_and(|parent| batch.segments[parent] == *segment)
            });
            let count = children.count();
            assert!(count == 0 || segment.len >= MIN_SHARED, "a parent is worth its branch");
        }
        for (index, one) in batch.segments.iter().enumerate() {
            let siblings =
                batch.segments[..index].iter().filter(|other| other.parent == one.parent);
            for other in siblings {
                let ids =
                    |segment: &Segment| &batch.ids[segment.start..segment.start + segment.len];
                let alike = ids(one).iter().zip(ids(other)).take_while(|(a, b)| a == b).count();
                assert!(alike < MIN_SHARED, "what is worth sharing is shared: {batch:?}");
            }
        }
        saved += batch.saved_prefix_tokens();
    }
    assert!(saved > 20_000, "{saved}");
}
