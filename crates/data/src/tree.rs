//! Rows as token trees: a flat list of tokens cut into segments, where a segment may continue an earlier one.

use crate::tokenize::TokenExample;

/// How many tokens a prefix must add to what its rows already share before they share it too.
///
/// Chat rows all open with the same token or two. A branch there would make every row pay for another block of
/// attention, over its parent's keys, and save next to nothing.
pub const MIN_SHARED: usize = 4;

/// A run of tokens that stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The flat index of its first token.
    pub start: usize,
    /// Its tokens; at least one.
    pub len: usize,
    /// The earlier segment whose end it continues; `None` where it begins a row.
    pub parent: Option<usize>,
    /// The first of the rows given that contains it.
    pub row: usize,
}

/// A token to predict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The flat index whose hidden state predicts; several rows may predict from one index.
    pub position: usize,
    /// The token that comes next in the row.
    pub token: u32,
    /// Its share in the loss.
    pub weight: f32,
    /// The row that supervises it, as an index into the rows given.
    pub row: usize,
}

/// The rows of one pass through the model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PackedBatch {
    /// The tokens, segment after segment.
    pub ids: Vec<u32>,
    /// The segments, which tile `ids` in order; a parent comes before its children.
    pub segments: Vec<Segment>,
    /// What is predicted, ordered by row and then by token.
    pub targets: Vec<Target>,
    /// The rows given.
    pub row_count: usize,
    /// The sum of the rows' own lengths, in tokens.
    pub row_tokens: usize,
}

/// Whether rows compute a common beginning once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrefixSharing {
    /// Once for all rows that have it.
    Share,
    /// For each row anew, as independent dropout masks need it.
    Separate,
}

impl PackedBatch {
    /// The tokens that sharing spares the model.
    pub fn saved_prefix_tokens(&self) -> usize {
        self.row_tokens - self.ids.len()
    }

    /// The position of each flat token within its rows, counted from 0.
    pub fn positions(&self) -> Vec<usize> {
        let mut positions = Vec::with_capacity(self.ids.len());
        for (begin, segment) in begins(&self.segments).into_iter().zip(&self.segments) {
            positions.extend(begin..begin + segment.len);
        }
        positions
    }
}

/// The rows as a forest of segments with their targets.
///
/// With [`PrefixSharing::Share`] the forest is a compressed radix tree over the rows' ids: rows that begin alike
/// share a segment as far as they are alike, at any depth, if that adds at least [`MIN_SHARED`] tokens to what
/// they share already; a row that is the beginning of another lies inside the other's segment. Segments follow
/// the order of the rows, so rows without common beginnings lie as [`PrefixSharing::Separate`] lays them.
pub fn lay_out(rows: &[&TokenExample], sharing: PrefixSharing) -> PackedBatch {
    let mut forest = Forest {
        rows,
        ids: Vec::new(),
        segments: Vec::new(),
        last_segment: vec![None; rows.len()],
    };
    match sharing {
        PrefixSharing::Share => forest.grow(),
        PrefixSharing::Separate => (0..rows.len()).for_each(|row| forest.finish(row, 0, None)),
    }
    PackedBatch {
        targets: forest.targets(),
        row_count: rows.len(),
        row_tokens: rows.iter().map(|row| row.ids.len()).sum(),
        ids: forest.ids,
        segments: forest.segments,
    }
}

/// The position at which each segment begins within its rows.
fn begins(segments: &[Segment]) -> Vec<usize> {
    let mut begins: Vec<usize> = Vec::with_capacity(segments.len());
    for segment in segments {
        let begin = segment.parent.map_or(0, |parent| begins[parent] + segments[parent].len);
        begins.push(begin);
    }
    begins
}

/// A forest while it grows.
struct Forest<'a> {
    rows: &'a [&'a TokenExample],
    ids: Vec<u32>,
    segments: Vec<Segment>,
    /// The segment in which each row ends; `None` for a row without tokens.
    last_segment: Vec<Option<usize>>,
}

/// Rows that are alike as far as `alike`, of which the first `begin` tokens are laid down already.
struct Group {
    /// Indices of rows, sorted by their ids and then by index.
    sorted: Vec<usize>,
    begin: usize,
    alike: usize,
    parent: Option<usize>,
}

/// What a group's rows do where they stop being alike.
struct Fork {
    /// The first position at which the rows differ, or at which the longest end.
    end: usize,
    /// The rows that end on the way there, sorted.
    ended: Vec<usize>,
    /// The rows that go on, by their next token, in the order of their first row.
    branches: Vec<Vec<usize>>,
}

impl Forest<'_> {
    fn grow(&mut self) {
        let mut sorted: Vec<usize> = (0..self.rows.len()).collect();
        sorted.retain(|&row| self.length(row) > 0);
        sorted.sort_by(|&a, &b| self.rows[a].ids.cmp(&self.rows[b].ids).then(a.cmp(&b)));
        // A stack, not recursion: the depth of the tree is the data's to choose.
        let mut waiting = Vec::new();
        push(&mut waiting, self.branches(&sorted, 0), 0, 0, None);
        while let Some(group) = waiting.pop() {
            let Group { begin, parent, .. } = group;
            let fork = self.fork(&group);
            let alone = group.sorted.len() == 1;
            let shares = |end: usize| alone || end - begin >= MIN_SHARED;
            let (within, apart): (Vec<usize>, Vec<usize>) =
                fork.ended.iter().partition(|&&row| shares(self.length(row)));
            if shares(fork.end) {
                let segment = self.lay_shared(&within, &fork, begin, parent);
                push(&mut waiting, fork.branches, fork.end, fork.end, Some(segment));
            } else {
                push(&mut waiting, fork.branches, begin, fork.end, parent);
            }
            apart.into_iter().for_each(|row| self.finish(row, begin, parent));
        }
    }

    fn length(&self, row: usize) -> usize {
        self.rows[row].ids.len()
    }

    /// Lays the tokens that the rows of a group have in common; the rows of `within` end in them.
    fn lay_shared(
        &mut self,
        within: &[usize],
        fork: &Fork,
        begin: usize,
        parent: Option<usize>,
    ) -> usize {
        let having: Vec<usize> =
            within.iter().chain(fork.branches.iter().flatten()).copied().collect();
        let first = having.iter().copied().min().unwrap_or_default();
        let longest = having.last().copied().unwrap_or_default();
        let segment = self.lay(&self.rows[longest].ids[begin..fork.end], parent, first);
        within.iter().for_each(|&row| self.last_segment[row] = Some(segment));
        segment
    }

    /// Lays the rest of a row, from `begin` on, as a segment of its own.
    fn finish(&mut self, row: usize, begin: usize, parent: Option<usize>) {
        let rest = &self.rows[row].ids[begin..];
        self.last_segment[row] =
            if rest.is_empty() { parent } else { Some(self.lay(rest, parent, row)) };
    }

    fn lay(&mut self, ids: &[u32], parent: Option<usize>, row: usize) -> usize {
        let start = self.ids.len();
        self.ids.extend_from_slice(ids);
        self.segments.push(Segment { start, len: ids.len(), parent, row });
        self.segments.len() - 1
    }

    /// Follows the rows of a group as long as none leaves the others, whether or not some end.
    fn fork(&self, group: &Group) -> Fork {
        let mut going_on = group.sorted.as_slice();
        let mut ended = Vec::new();
        let mut end = group.alike;
        loop {
            if let (Some(&first), Some(&last)) = (going_on.first(), going_on.last()) {
                // Sorted rows are all alike as far as the first and the last are.
                end += alike(&self.rows[first].ids[end..], &self.rows[last].ids[end..]);
            }
            let stopped = going_on.iter().take_while(|&&row| self.length(row) == end).count();
            let (stopping, rest) = going_on.split_at(stopped);
            ended.extend_from_slice(stopping);
            going_on = rest;
            if going_on.is_empty() || self.next_tokens_differ(going_on, end) {
                let branches = self.branches(going_on, end);
                return Fork { end, ended, branches };
            }
        }
    }

    fn next_tokens_differ(&self, sorted: &[usize], at: usize) -> bool {
        let next = |row: Option<&usize>| row.and_then(|&row| self.rows[row].ids.get(at));
        next(sorted.first()) != next(sorted.last())
    }

    /// Sorted rows cut where the token at `at` changes, in the order of each branch's first row.
    fn branches(&self, sorted: &[usize], at: usize) -> Vec<Vec<usize>> {
        let token = |row: &usize| self.rows[*row].ids.get(at);
        let mut branches: Vec<Vec<usize>> =
            sorted.chunk_by(|a, b| token(a) == token(b)).map(<[usize]>::to_vec).collect();
        branches.sort_by_key(|branch| branch.iter().copied().min());
        branches
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for (row, example) in self.rows.iter().enumerate() {
            let path = self.path(row);
            let mut positions = path.iter().flat_map(|&segment| {
                let Segment { start, len, .. } = self.segments[segment];
                start..start + len
            });
            let tokens = example.ids.iter().zip(&example.supervised).skip(1);
            for (&token, &supervised) in tokens {
                let Some(position) = positions.next() else {
                    break;
                };
                if supervised {
                    targets.push(Target { position, token, weight: 1.0, row });
                }
            }
        }
        targets
    }

    /// The segments of a row from its beginning; the last may go on beyond the row's end.
    fn path(&self, row: usize) -> Vec<usize> {
        let last = self.last_segment[row];
        let upwards = std::iter::successors(last, |&segment| self.segments[segment].parent);
        let mut path: Vec<usize> = upwards.collect();
        path.reverse();
        path
    }
}

fn push(
    waiting: &mut Vec<Group>,
    branches: Vec<Vec<usize>>,
    begin: usize,
    alike: usize,
    parent: Option<usize>,
) {
    let groups = branches.into_iter().map(|sorted| Group { sorted, begin, alike, parent });
    waiting.extend(groups.rev());
}

/// How many tokens two rows have in common from their beginning.
pub fn alike(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
