//! Matrix products: sums of terms `left · right`, cut into tiles that threads share out.
//!
//! Shapes: M rows (tokens), N columns, K steps. Every number of the result is summed by one thread in one order, so
//! the bits do not depend on how many threads there are.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ops::Range;

use half::bf16;
use rayon::prelude::*;

use super::gather::{gather, widen_panel};
use super::instructions::{prefetch, vectorized};
use super::panels::{Panel, Panels};
use super::tile::{TileArguments, TileKernel, MAX_TILE};
use super::view::Rows;

/// Steps at a time: a panel of them and the rows beside it stay in the first cache.
const STEPS: usize = 320;
/// Tiles of rows that a task works on: its part of the left operand and of the result stay in the second cache, with
/// some panels.
const ROW_TILES: usize = 16;
/// Numbers of 32 bits in a line of the cache.
const LINE: usize = 16;
/// Tiles of rows below which the next panel is not fetched ahead: they read a panel as fast as memory gives it.
const WORTH_FETCHING: usize = 4;
/// Panels of a task at most.
const PANELS: usize = 8;
/// Multiplications below which other threads are not woken.
const WORTH_SHARING: usize = 1 << 16;

/// The first operand of a term.
#[derive(Clone, Copy)]
pub enum Left<'a> {
    /// (M, K).
    Rows(Rows<'a>),
    /// (K, M), read transposed.
    Columns(Rows<'a>),
    /// (M, K), rounded to bf16.
    Bf16(&'a PackedRows),
}

/// The second operand of a term.
#[derive(Clone, Copy)]
pub enum Right<'a> {
    /// (K, N), packed before.
    Panels(&'a Panels),
    /// (K, N), packed as its transpose.
    TransposedPanels(&'a Panels),
    /// (K, N).
    Rows(Rows<'a>),
    /// (N, K), read transposed.
    Columns(Rows<'a>),
}

impl Left<'_> {
    /// (M, K).
    fn shape(&self) -> (usize, usize) {
        match self {
            Self::Rows(left) => (left.rows, left.width),
            Self::Columns(left) => (left.width, left.rows),
            Self::Bf16(left) => (left.rows, left.width),
        }
    }
}

impl Right<'_> {
    /// (K, N).
    fn shape(&self) -> (usize, usize) {
        match self {
            Self::Panels(right) => (right.steps(), right.columns()),
            Self::TransposedPanels(right) => (right.columns(), right.steps()),
            Self::Rows(right) => (right.rows, right.width),
            Self::Columns(right) => (right.width, right.rows),
        }
    }
}

/// A summand `left · right` of a product.
#[derive(Clone, Copy)]
pub struct Term<'a> {
    /// (M, K).
    pub left: Left<'a>,
    /// (K, N).
    pub right: Right<'a>,
}

impl Term<'_> {
    /// K.
    pub(super) fn steps(&self) -> usize {
        self.left.shape().1
    }
}

/// Some columns of the result and the terms that are summed in them.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// The first column.
    pub column: usize,
    /// How many.
    pub columns: usize,
    /// What is summed, in this order.
    pub terms: &'a [Term<'a>],
}

/// What becomes of the numbers that the result's buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// They are overwritten.
    Zero,
    /// They are added to.
    Present,
}

/// Rows rounded to bf16 and packed for the tile that multiplies bf16.
#[derive(Debug, Default)]
pub struct PackedRows {
    pub(super) pairs: Vec<u32>,
    rows: usize,
    pub(super) width: usize,
}

impl PackedRows {
    /// Packs rows in place of what it held.
    pub fn pack(&mut self, rows: Rows<'_>) {
        let mr = TileKernel::current().mr;
        let pairs = rows.width.div_ceil(2);
        (self.rows, self.width) = (rows.rows, rows.width);
        let len = rows.rows.div_ceil(mr) * mr * pairs;
        if self.pairs.len() < len {
            self.pairs.resize(len, 0);
        }
        let tiles = self.pairs[..len].par_chunks_mut((mr * pairs).max(1)).enumerate();
        tiles.for_each(|(tile, out)| pack_tile(out, rows, tile * mr, mr));
    }
}

vectorized! {
    fn pack_tile(out: &mut [u32], rows: Rows<'_>, first: usize, mr: usize) -> () {
        for lane in 0..mr {
            if first + lane >= rows.rows {
                out.iter_mut().skip(lane).step_by(mr).for_each(|pair| *pair = 0);
                continue;
            }
            let row = rows.row(first + lane);
            for (pair, out) in row.chunks(2).zip(out.iter_mut().skip(lane).step_by(mr)) {
                let bits = |step: usize| pair.get(step).map_or(0, |x| u32::from(bf16::from_f32(*x).to_bits()));
                *out = bits(0) | bits(1) << 16;
            }
        }
    }
}

/// Writes the sums of each part's terms into its columns of `out`.
///
/// Shapes: `out` (M, `stride`).
pub fn multiply(out: &mut [f32], stride: usize, m: usize, parts: &[Part<'_>], start: Start) {
    let work = check(out, stride, m, parts);
    let threads = if work < WORTH_SHARING { 1 } else { rayon::current_num_threads() };
    if work > 0 {
        run(out, stride, m, parts, start, threads);
    }
}

/// Writes or adds the product of two operands, by the calling thread alone.
///
/// Shapes: `out` (M, N).
pub fn multiply_alone(out: &mut [f32], left: Left<'_>, right: Right<'_>, start: Start) {
    let ((m, _), (_, n)) = (left.shape(), right.shape());
    let terms = [Term { left, right }];
    let parts = [Part { column: 0, columns: n, terms: &terms }];
    if check(out, n, m, &parts) > 0 {
        run(out, n, m, &parts, start, 1);
    }
}

fn run(out: &mut [f32], stride: usize, m: usize, parts: &[Part<'_>], start: Start, threads: usize) {
    let kernel = TileKernel::current();
    let grid = Grid::new(kernel, m, parts, threads);
    let target = Target { c: out.as_mut_ptr(), stride, start };
    let run = |task: usize| {
        let (part, panels, rows) = grid.task(task, parts);
        // SAFETY: `check` has seen that operands and result are as large as the tiles of the grid, and no two tasks
        // write the same numbers.
        unsafe { run_task(kernel, target, part, panels, rows) };
    };
    if threads == 1 {
        (0..grid.tasks()).for_each(run);
    } else {
        (0..grid.tasks()).into_par_iter().with_max_len(1).for_each(run);
    }
}

/// The multiplications of a product whose operands fit one another and the result.
///
/// # Panics
/// When they do not: the caller has mixed up shapes.
pub(super) fn check(out: &[f32], stride: usize, m: usize, parts: &[Part<'_>]) -> usize {
    let mut work = 0;
    for part in parts {
        assert!(
            part.column + part.columns <= stride && m * stride <= out.len(),
            "product: result too small"
        );
        for term in part.terms {
            let ((rows, steps), (also_steps, columns)) = (term.left.shape(), term.right.shape());
            assert_eq!(
                (rows, steps, columns),
                (m, also_steps, part.columns),
                "product: shapes differ"
            );
            work += rows * steps * columns;
        }
    }
    work
}

/// How a product is cut into tasks.
struct Grid {
    m: usize,
    nr: usize,
    /// Rows of a task.
    rows: usize,
    row_tasks: usize,
    /// Panels of a task.
    panels: usize,
    /// Tasks of each block of rows.
    panel_tasks: usize,
}

impl Grid {
    fn new(kernel: TileKernel, m: usize, parts: &[Part<'_>], threads: usize) -> Self {
        let wanted = 4 * threads;
        let tiles = m.div_ceil(kernel.mr);
        let blocks = tiles.div_ceil(ROW_TILES);
        let all: usize = parts.iter().map(|p| p.columns.div_ceil(kernel.nr)).sum();
        let panels = (all * blocks / wanted).clamp(1, PANELS);
        let panel_tasks: usize =
            parts.iter().map(|p| p.columns.div_ceil(kernel.nr).div_ceil(panels)).sum();
        // Thin products have too few panels to share out; then rows are.
        let blocks =
            if threads == 1 { blocks } else { blocks.max(wanted.div_ceil(panel_tasks).min(tiles)) };
        let rows = tiles.div_ceil(blocks) * kernel.mr;
        Self { m, nr: kernel.nr, rows, row_tasks: m.div_ceil(rows), panels, panel_tasks }
    }

    fn tasks(&self) -> usize {
        self.row_tasks * self.panel_tasks
    }

    /// The part, its panels and the rows of a task.
    fn task<'p, 'a>(
        &self,
        task: usize,
        parts: &'p [Part<'a>],
    ) -> (&'p Part<'a>, Range<usize>, Range<usize>) {
        let first = task / self.panel_tasks * self.rows;
        let rows = first..(first + self.rows).min(self.m);
        let mut rest = task % self.panel_tasks;
        for part in parts {
            let panels = part.columns.div_ceil(self.nr);
            let tasks = panels.div_ceil(self.panels);
            if rest < tasks {
                let first = rest * self.panels;
                return (part, first..(first + self.panels).min(panels), rows);
            }
            rest -= tasks;
        }
        unreachable!("a task beyond the last part")
    }
}

#[derive(Clone, Copy)]
struct Target {
    c: *mut f32,
    stride: usize,
    start: Start,
}

// SAFETY: tasks write disjoint numbers of what `c` points to, which outlives them.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

thread_local! {
    /// A panel's steps, gathered or widened.
    static GATHERED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// # Safety
/// Operands and result hold the rows and panels, and nothing else touches those of the result.
unsafe fn run_task(
    kernel: TileKernel,
    target: Target,
    part: &Part<'_>,
    panels: Range<usize>,
    rows: Range<usize>,
) {
    GATHERED.with_borrow_mut(|gathered| {
        gathered.resize(2 * STEPS * kernel.nr, 0.0);
        let mut present = target.start == Start::Present;
        for term in part.terms {
            for steps in step_blocks(term.steps()) {
                for panel in panels.clone() {
                    let columns = panel * kernel.nr..((panel + 1) * kernel.nr).min(part.columns);
                    // SAFETY: the caller's promise.
                    unsafe {
                        let column = part.column + columns.start;
                        let tile = Tile {
                            kernel,
                            target,
                            column,
                            width: columns.len(),
                            rows: rows.clone(),
                            present,
                        };
                        tile.run(term, steps.clone(), panel, columns, gathered);
                    }
                }
                present = true;
            }
        }
    });
}

/// Steps in blocks of much the same even length.
fn step_blocks(steps: usize) -> impl Iterator<Item = Range<usize>> {
    let blocks = steps.div_ceil(STEPS).max(1);
    let len = steps.div_ceil(blocks).next_multiple_of(2).max(2);
    (0..blocks)
        .map(move |b| (b * len).min(steps)..((b + 1) * len).min(steps))
        .filter(|r| !r.is_empty())
}

/// Where a panel's steps lie.
#[derive(Clone, Copy)]
struct PanelSteps<T> {
    first: *const T,
    /// Numbers from one step to the next.
    stride: usize,
    /// The same steps of the panel that is read after this one; null for none.
    next: *const T,
}

impl<T> PanelSteps<T> {
    /// Some steps of a packed panel of `steps`, the next panel behind it.
    fn packed(panel: &[T], nr: usize, steps: usize) -> Self {
        let first = panel.as_ptr();
        Self { first, stride: nr, next: first.wrapping_add(steps * nr) }
    }

    fn alone(first: *const T, stride: usize) -> Self {
        Self { first, stride, next: std::ptr::null() }
    }

    /// Fetches a tile's share of the next panel's `steps` steps.
    fn fetch_next(&self, steps: usize, tile: usize, tiles: usize) {
        if !self.next.is_null() {
            let numbers = steps * self.stride;
            for at in (numbers * tile / tiles..numbers * (tile + 1) / tiles).step_by(LINE) {
                prefetch(self.next.wrapping_add(at));
            }
        }
    }
}

/// One panel's columns of some rows.
struct Tile {
    kernel: TileKernel,
    target: Target,
    column: usize,
    width: usize,
    rows: Range<usize>,
    present: bool,
}

impl Tile {
    /// # Safety
    /// As [`run_task`].
    unsafe fn run(
        &self,
        term: &Term<'_>,
        steps: Range<usize>,
        panel: usize,
        columns: Range<usize>,
        gathered: &mut [f32],
    ) {
        let nr = self.kernel.nr;
        let b = match (term.left, term.right) {
            (Left::Bf16(left), Right::Panels(right)) => {
                if let (Panel::Bf16(b), Some(kernel)) =
                    (right.panel(panel, steps.start), self.kernel.bf16)
                {
                    let pairs = left.width.div_ceil(2);
                    let b = PanelSteps::packed(b, nr, right.steps().div_ceil(2));
                    // SAFETY: the caller's promise; packed rows have a whole tile's lanes.
                    return unsafe {
                        self.tiles(kernel, b, steps.len().div_ceil(2), |row| {
                            (
                                left.pairs
                                    .as_ptr()
                                    .add(row * pairs + steps.start / 2 * self.kernel.mr),
                                1,
                                self.kernel.mr,
                            )
                        })
                    };
                }
                unreachable!("packed rows need bf16 panels and instructions for them")
            }
            (_, Right::Panels(right)) => match right.panel(panel, steps.start) {
                Panel::F32(b) => PanelSteps::packed(b, nr, right.steps()),
                Panel::Bf16(b) => {
                    widen_panel(gathered, b, nr, steps.len());
                    PanelSteps::alone(gathered.as_ptr(), nr)
                }
            },
            (_, Right::Rows(right)) if columns.len() == nr => {
                // SAFETY: the block lies within the matrix.
                let first =
                    unsafe { right.data.as_ptr().add(steps.start * right.stride + columns.start) };
                PanelSteps::alone(first, right.stride)
            }
            (_, right) => {
                gather(gathered, right, nr, steps.clone(), columns);
                PanelSteps::alone(gathered.as_ptr(), nr)
            }
        };
        // SAFETY: the caller's promise.
        unsafe {
            match term.left {
                Left::Rows(left) => self.tiles(self.kernel.f32, b, steps.len(), |row| {
                    (left.data.as_ptr().add(row * left.stride + steps.start), left.stride, 1)
                }),
                Left::Columns(left) => self.tiles(self.kernel.f32, b, steps.len(), |row| {
                    (left.data.as_ptr().add(steps.start * left.stride + row), 1, left.stride)
                }),
                Left::Bf16(_) => unreachable!("packed rows need packed panels"),
            }
        }
    }

    /// Runs every tile of the rows; `left` tells where A's part for a row begins, and its strides.
    ///
    /// # Safety
    /// As [`run_task`].
    unsafe fn tiles<T>(
        &self,
        kernel: unsafe fn(TileArguments<T>),
        b: PanelSteps<T>,
        k: usize,
        left: impl Fn(usize) -> (*const T, usize, usize),
    ) {
        let mut edge = [0f32; MAX_TILE];
        let whole = self.width == self.kernel.nr;
        let tiles = self.rows.len().div_ceil(self.kernel.mr);
        for (tile, row) in self.rows.clone().step_by(self.kernel.mr).enumerate() {
            if tiles >= WORTH_FETCHING {
                b.fetch_next(k, tile, tiles);
            }
            let rows = self.kernel.mr.min(self.rows.end - row);
            let (a, a_row, a_step) = left(row);
            // SAFETY: the caller's promise.
            unsafe {
                let c = self.target.c.add(row * self.target.stride + self.column);
                let (place, c_stride) = if whole {
                    (c, self.target.stride)
                } else {
                    (edge.as_mut_ptr(), self.kernel.nr)
                };
                let accumulate = self.present && whole;
                kernel(TileArguments {
                    k,
                    a,
                    a_row,
                    a_step,
                    b: b.first,
                    b_stride: b.stride,
                    c: place,
                    c_stride,
                    rows,
                    accumulate,
                });
                if !whole {
                    let c = std::slice::from_raw_parts_mut(
                        c,
                        (rows - 1) * self.target.stride + self.width,
                    );
                    self.keep_edge(c, &edge);
                }
            }
        }
    }

    /// Writes or adds the columns that there are of a tile at the right edge.
    fn keep_edge(&self, c: &mut [f32], edge: &[f32]) {
        for (c, edge) in c.chunks_mut(self.target.stride).zip(edge.chunks(self.kernel.nr)) {
            for (c, edge) in c.iter_mut().zip(edge).take(self.width) {
                *c = if self.present { *c + edge } else { *edge };
            }
        }
    }
}
