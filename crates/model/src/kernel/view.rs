//! Matrices that lie in somebody else's buffer.

/// Rows of numbers, some distance apart.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) rows: usize,
    pub(crate) width: usize,
}

impl<'a> Rows<'a> {
    /// `rows` rows of `width` numbers that lie `stride` apart.
    ///
    /// # Panics
    /// When `data` is too short for them.
    pub fn new(data: &'a [f32], rows: usize, width: usize, stride: usize) -> Self {
        let needed = if rows == 0 { 0 } else { (rows - 1) * stride + width };
        assert!(width <= stride && needed <= data.len(), "{rows} rows do not fit");
        Self { data, stride, rows, width }
    }

    /// Rows side by side.
    ///
    /// # Panics
    /// When `data` is too short for them.
    pub fn dense(data: &'a [f32], rows: usize, width: usize) -> Self {
        Self::new(data, rows, width, width)
    }

    /// `width` columns of each row from `first` on.
    ///
    /// # Panics
    /// When the rows have fewer.
    pub fn columns(self, first: usize, width: usize) -> Self {
        assert!(first + width <= self.width, "columns beyond the last");
        Self { data: &self.data[first.min(self.data.len())..], width, ..self }
    }

    /// `rows` rows from `first` on.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn slice(self, first: usize, rows: usize) -> Self {
        assert!(first + rows <= self.rows, "rows beyond the last");
        Self { data: &self.data[(first * self.stride).min(self.data.len())..], rows, ..self }
    }

    /// One row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.data[row * self.stride..][..self.width]
    }
}
