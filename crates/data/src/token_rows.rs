//! Token rows in a temporary file, of which memory holds only where each lies.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use tempfile::{spooled_tempfile, SpooledTempFile};

use crate::error::DataError;
use crate::tokenize::TokenExample;

/// Bytes up to which rows stay in memory; beyond, all go to a file without a name, which ends with its owner.
const HELD_BYTES: usize = 16 << 20;
/// Bytes that are written at once.
const WRITTEN_BYTES: usize = 1 << 16;
/// Bytes of an id.
const ID_BYTES: usize = 4;

/// Token examples in the order in which they were added.
pub struct TokenRows {
    bytes: Mutex<SpooledTempFile>,
    places: Vec<Place>,
    tokens: usize,
    supervised: usize,
}

/// Where a row ends in the bytes, and the line it came from.
#[derive(Clone, Copy)]
struct Place {
    end: u64,
    line: usize,
}

/// Token examples on their way into [`TokenRows`].
pub struct TokenRowsWriter {
    rows: TokenRows,
    pending: Vec<u8>,
    end: u64,
}

impl TokenRows {
    /// Those examples.
    ///
    /// # Errors
    /// [`DataError::TokenFile`].
    pub fn of(examples: &[TokenExample]) -> Result<TokenRows, DataError> {
        let mut writer = TokenRowsWriter::default();
        examples.iter().try_for_each(|example| writer.push(example))?;
        writer.finish()
    }

    /// The number of examples.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The tokens of each example, in order.
    pub fn lengths(&self) -> impl Iterator<Item = usize> + '_ {
        let starts = std::iter::once(0).chain(self.places.iter().map(|place| place.end));
        self.places.iter().zip(starts).map(|(place, start)| {
            // An id and a byte that tells whether it is supervised.
            (place.end - start) as usize / (ID_BYTES + 1)
        })
    }

    /// The tokens of all examples.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The targets of the loss in all examples.
    pub fn supervised_tokens(&self) -> usize {
        self.supervised
    }

    /// The example at that place; `None` behind the last.
    ///
    /// # Errors
    /// [`DataError::TokenFile`].
    pub fn get(&self, index: usize) -> Result<Option<TokenExample>, DataError> {
        let Some(place) = self.places.get(index) else { return Ok(None) };
        let before = index.checked_sub(1).and_then(|before| self.places.get(before));
        let start = before.map_or(0, |before| before.end);
        let mut row = vec![0; (place.end - start) as usize];
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes
            .seek(SeekFrom::Start(start))
            .and_then(|_| bytes.read_exact(&mut row))
            .map_err(unread)?;
        Ok(Some(example(place.line, &row)))
    }

    /// The examples in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<TokenExample, DataError>> + '_ {
        (0..self.len()).map_while(|index| self.get(index).transpose())
    }
}

impl fmt::Debug for TokenRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRows")
            .field("rows", &self.len())
            .field("tokens", &self.tokens)
            .finish()
    }
}

impl Default for TokenRowsWriter {
    fn default() -> TokenRowsWriter {
        let bytes = Mutex::new(spooled_tempfile(HELD_BYTES));
        let rows = TokenRows { bytes, places: Vec::new(), tokens: 0, supervised: 0 };
        TokenRowsWriter { rows, pending: Vec::new(), end: 0 }
    }
}

impl TokenRowsWriter {
    /// Adds an example behind the last.
    ///
    /// # Errors
    /// [`DataError::TokenFile`].
    pub fn push(&mut self, example: &TokenExample) -> Result<(), DataError> {
        let begin = self.pending.len();
        self.pending.extend(example.ids.iter().flat_map(|id| id.to_le_bytes()));
        self.pending.extend(example.supervised.iter().copied().map(u8::from));
        self.end += (self.pending.len() - begin) as u64;
        self.rows.places.push(Place { end: self.end, line: example.line });
        self.rows.tokens += example.ids.len();
        self.rows.supervised += example.supervised_tokens();
        if self.pending.len() >= WRITTEN_BYTES {
            self.write()?;
        }
        Ok(())
    }

    /// The examples, ready to be read.
    ///
    /// # Errors
    /// [`DataError::TokenFile`].
    pub fn finish(mut self) -> Result<TokenRows, DataError> {
        self.write()?;
        self.rows.places.shrink_to_fit();
        Ok(self.rows)
    }

    fn write(&mut self) -> Result<(), DataError> {
        let bytes = self.rows.bytes.get_mut().unwrap_or_else(PoisonError::into_inner);
        bytes.write_all(&self.pending).map_err(unread)?;
        self.pending.clear();
        Ok(())
    }
}

/// The example of a row's bytes: the ids, then a byte for each that tells whether it is supervised.
fn example(line: usize, row: &[u8]) -> TokenExample {
    let (ids, supervised) = row.split_at(row.len() / (ID_BYTES + 1) * ID_BYTES);
    let ids = ids.as_chunks::<ID_BYTES>().0.iter().map(|id| u32::from_le_bytes(*id)).collect();
    let supervised = supervised.iter().map(|supervised| *supervised != 0).collect();
    TokenExample { line, ids, supervised }
}

fn unread(source: io::Error) -> DataError {
    DataError::TokenFile { source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: usize, tokens: usize) -> TokenExample {
        let ids =
            (0..tokens).map(|at| (line * 31 + at) as u32 | u32::from(at == 0) << 31).collect();
        TokenExample { line, ids, supervised: (0..tokens).map(|at| at % 3 == 1).collect() }
    }

    #[test]
    fn rows_come_back_as_they_were_in_any_order_also_once_they_lie_on_disk() {
        // The second lot is beyond what is held in memory.
        for length in [7, 4 << 10] {
            let rows: Vec<TokenExample> = (0..1200)
                .map(|at| row(3 * at + 1, if at == 5 { 0 } else { length + at % 4 }))
                .collect();
            let stored = TokenRows::of(&rows).unwrap();
            assert_eq!(stored.bytes.lock().unwrap().is_rolled(), length > 7);
            assert_eq!(stored.len(), rows.len());
            for at in [1199, 0, 5, 6, 600] {
                assert_eq!(stored.get(at).unwrap().as_ref(), Some(&rows[at]));
            }
            assert_eq!(stored.get(1200).unwrap(), None);
            assert!(stored.lengths().eq(rows.iter().map(|row| row.ids.len())));
            assert_eq!(stored.iter().collect::<Result<Vec<_>, _>>().unwrap(), rows);
            let sum = |count: fn(&TokenExample) -> usize| rows.iter().map(count).sum::<usize>();
            assert_eq!(stored.tokens(), sum(|row| row.ids.len()));
            assert_eq!(stored.supervised_tokens(), sum(TokenExample::supervised_tokens));
        }
    }
}
