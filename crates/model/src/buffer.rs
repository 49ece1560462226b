//! Numbers in memory that is used again.

/// A run of f32 numbers that only ever grows, so that a loop allocates nothing once it has met its largest batch.
#[derive(Debug, Default)]
pub struct Buffer {
    numbers: Vec<f32>,
}

impl Buffer {
    /// The first `len` numbers, whatever they are.
    pub fn sized(&mut self, len: usize) -> &mut [f32] {
        if self.numbers.len() < len {
            // The old numbers need not be copied, so they go first.
            self.numbers = Vec::new();
            self.numbers = vec![0.0; len];
        }
        &mut self.numbers[..len]
    }

    /// The first `len` numbers, all zero.
    pub fn zeroed(&mut self, len: usize) -> &mut [f32] {
        let numbers = self.sized(len);
        numbers.fill(0.0);
        numbers
    }

    /// The first `len` numbers of what was written last.
    ///
    /// # Panics
    /// When fewer were ever asked for: the caller has mixed up buffers.
    pub fn get(&self, len: usize) -> &[f32] {
        &self.numbers[..len]
    }

    /// As [`Buffer::get`], to be changed.
    ///
    /// # Panics
    /// As [`Buffer::get`].
    pub fn get_mut(&mut self, len: usize) -> &mut [f32] {
        &mut self.numbers[..len]
    }
}
