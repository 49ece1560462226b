//! The physical lines of a stream, bounded in memory.

use std::io::{self, BufRead, Read};
use std::ops::Range;

use rayon::prelude::*;

use crate::problem::RowProblem;

/// The longest line that is read, in bytes: far beyond any context, and still nothing a machine runs out of once it is
/// tokenized, which takes some 200 times as much.
pub(crate) const MAX_LINE_BYTES: usize = 16 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// What the buffer keeps between lines, so that one long line does not hold its memory to the end.
const KEPT_BYTES: usize = 1 << 20;

/// A stream cut into lines that are not blank.
pub(crate) struct Lines<R> {
    reader: R,
    limit: usize,
    number: usize,
    buffer: Vec<u8>,
}

/// A line, or what keeps it from being text, and its number counted from 1.
pub(crate) type NumberedLine<'a> = (usize, Result<&'a str, RowProblem>);

/// Lines that were read one after another.
pub(crate) struct Batch {
    text: String,
    lines: Vec<(usize, Result<Range<usize>, RowProblem>)>,
    /// The number of the last line that was read whole, counted from 1.
    pub last: usize,
    /// Whether the stream may go on behind them, or why it cannot be read on.
    pub more: io::Result<bool>,
}

impl Batch {
    /// The number of lines.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = NumberedLine<'_>> {
        self.lines.iter().map(|line| self.line(line))
    }

    /// The lines from the one at that place on, for all threads.
    pub(crate) fn par_lines(
        &self,
        from: usize,
    ) -> impl IndexedParallelIterator<Item = NumberedLine<'_>> {
        self.lines.get(from..).unwrap_or_default().par_iter().map(|line| self.line(line))
    }

    fn line(
        &self,
        (number, place): &(usize, Result<Range<usize>, RowProblem>),
    ) -> NumberedLine<'_> {
        let text = |place: &Range<usize>| self.text.get(place.clone()).unwrap_or_default();
        (*number, place.as_ref().map(text).map_err(Clone::clone))
    }
}

impl<R: BufRead> Lines<R> {
    /// The lines of a stream, none longer than `limit` bytes.
    pub(crate) fn new(reader: R, limit: usize) -> Lines<R> {
        Lines { reader, limit, number: 0, buffer: Vec::new() }
    }

    /// What the lines were read from.
    pub(crate) fn into_reader(self) -> R {
        self.reader
    }

    /// The next line that is not blank, without its ending; `None` at the end.
    ///
    /// # Errors
    /// The stream's own; a line that is too long or not UTF-8 is passed and told in its place.
    fn next_line(&mut self) -> io::Result<Option<NumberedLine<'_>>> {
        loop {
            if !self.fill()? {
                return Ok(None);
            }
            if content(&self.buffer, self.number).len() > self.limit {
                return self.pass_long_line().map(Some);
            }
            if !content(&self.buffer, self.number).trim_ascii().is_empty() {
                break;
            }
        }
        Ok(Some((self.number, text(content(&self.buffer, self.number)))))
    }

    /// The next lines that are not blank, as many as come to `bytes` or a little more.
    pub(crate) fn next_batch(&mut self, bytes: usize) -> Batch {
        let mut batch = Batch { text: String::new(), lines: Vec::new(), last: 0, more: Ok(true) };
        while batch.text.len() < bytes && batch.len() < bytes && matches!(batch.more, Ok(true)) {
            batch.last = self.number;
            match self.next_line() {
                Ok(Some((number, Ok(line)))) => {
                    let start = batch.text.len();
                    batch.text.push_str(line);
                    batch.lines.push((number, Ok(start..batch.text.len())));
                }
                Ok(Some((number, Err(problem)))) => batch.lines.push((number, Err(problem))),
                Ok(None) => batch.more = Ok(false),
                Err(source) => batch.more = Err(source),
            }
        }
        batch
    }

    /// Whether there was another line; the buffer then holds it, or as much of it as tells that it is too long.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BYTES);
        // The byte order mark and the line's ending do not count as content.
        let bound = self.limit.saturating_add(BYTE_ORDER_MARK.len() + 2);
        let mut bounded = (&mut self.reader).take(bound as u64);
        let read = bounded.read_until(b'\n', &mut self.buffer)?;
        if read > 0 {
            self.number += 1;
        }
        Ok(read > 0)
    }

    fn pass_long_line(&mut self) -> io::Result<NumberedLine<'static>> {
        if !self.buffer.ends_with(b"\n") {
            self.reader.skip_until(b'\n')?;
        }
        Ok((self.number, Err(RowProblem::LineTooLong { limit: self.limit })))
    }
}

/// A line without its ending, and without the mark that may open the file.
fn content(line: &[u8], number: usize) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) if number == 1 => rest,
        _ => line,
    }
}

fn text(line: &[u8]) -> Result<&str, RowProblem> {
    std::str::from_utf8(line).map_err(|error| RowProblem::NotUtf8 {
        byte: error.valid_up_to() + 1,
        found: line.get(error.valid_up_to()).copied().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], limit: usize) -> Vec<(usize, Result<String, RowProblem>)> {
        let mut lines = Lines::new(bytes, limit);
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next_line().unwrap() {
            found.push((number, line.map(str::to_owned)));
        }
        found
    }

    #[test]
    fn lines_are_physical_and_blank_ones_count_without_being_told() {
        let found = all(b"\xef\xbb\xbf\r\none\r\n\n \t\r\ntwo\nlast", 10);
        assert_eq!(
            found,
            [(2, Ok("one".to_owned())), (5, Ok("two".to_owned())), (6, Ok("last".to_owned()))]
        );
    }

    #[test]
    fn a_mark_opens_the_file_and_nothing_else() {
        assert_eq!(
            all(b"\xef\xbb\xbfa\n\xef\xbb\xbfb", 10),
            [(1, Ok("a".to_owned())), (2, Ok("\u{feff}b".to_owned())),]
        );
    }

    #[test]
    fn the_limit_counts_content_only_and_the_next_line_is_whole() {
        let long = Err(RowProblem::LineTooLong { limit: 4 });
        for ending in ["\n", "\r\n"] {
            let bytes = format!("\u{feff}1234{ending}1234{ending}12345{ending}123456789{ending}ok");
            assert_eq!(
                all(bytes.as_bytes(), 4),
                [
                    (1, Ok("1234".to_owned())),
                    (2, Ok("1234".to_owned())),
                    (3, long.clone()),
                    (4, long.clone()),
                    (5, Ok("ok".to_owned())),
                ]
            );
        }
        assert_eq!(all(b"12345", 4), [(1, long)]);
    }

    #[test]
    fn a_long_line_costs_no_more_memory_than_the_limit() {
        let bytes = vec![b'x'; 3 << 20];
        let mut lines = Lines::new(&bytes[..], 1000);
        assert_eq!(
            lines.next_line().unwrap(),
            Some((1, Err(RowProblem::LineTooLong { limit: 1000 })))
        );
        assert!(lines.buffer.capacity() < 4096, "{}", lines.buffer.capacity());
        assert_eq!(lines.next_line().unwrap(), None);
    }

    #[test]
    fn a_byte_that_is_no_text_is_told_with_its_place() {
        assert_eq!(
            all(b"ok\nab\xffc\nok", 10),
            [
                (1, Ok("ok".to_owned())),
                (2, Err(RowProblem::NotUtf8 { byte: 3, found: 0xff })),
                (3, Ok("ok".to_owned())),
            ]
        );
    }
}
