//! Tables: CSV and TSV files whose header names the keys of the rows.

use std::io::Read;
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};
use serde_json::{Map, Value};

use super::quotes;
use crate::error::DataError;
use crate::example::{Body, Example};
use crate::field::excerpt;
use crate::format::RowFormat;
use crate::line::MAX_LINE_BYTES;
use crate::problem::RowProblem;
use crate::read::{ReadOptions, Row};
use crate::row::{body, Demand};
use crate::source::Source;
use crate::splits::unreadable;

/// Keys whose values are lists or objects, which a cell holds as JSON.
const STRUCTURED: [&str; 5] = ["messages", "conversations", "chosen", "rejected", "tools"];

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A table, read to its end.
pub(super) struct Table {
    /// The format of its rows; `None` for a file without a header.
    pub(super) format: Option<RowFormat>,
    /// The rows in order; a bad one is a [`DataError::Row`].
    pub(super) rows: Vec<Result<Row, DataError>>,
}

impl Table {
    /// The table in a file, its cells parted by `delimiter` and quoted as RFC 4180 says.
    ///
    /// An empty cell is a key that the row does not have. Where cells are parted by tabs, quotes are text unless they
    /// [enclose cells](quotes::enclose_cells): most programs write them as they are. Source: RFC 4180.
    ///
    /// # Errors
    /// A file that cannot be read, a column mapping that contradicts the format, a header that names no format.
    pub(super) fn read(
        path: &Path,
        delimiter: u8,
        options: &ReadOptions,
    ) -> Result<Table, DataError> {
        let settled = options.columns.settle(options.format)?;
        let bytes = bytes(path)?;
        let mut records = Records::of(&bytes, delimiter);
        let unread = |error: csv::Error| unreadable(path, error.into());
        let bad = |line: usize, problem: RowProblem| DataError::Row {
            path: path.to_owned(),
            line,
            problem: Box::new(problem),
        };
        let Some((line, text)) = records.read_next().map_err(unread)? else {
            return Ok(Table { format: settled, rows: Vec::new() });
        };
        let header = Header::of(&records.record, text, settled);
        let header = header.map_err(|problem| bad(line, problem))?;
        let demand = Demand { columns: &options.columns, answer: options.require_answer };
        let mut rows = Vec::new();
        while let Some((line, text)) = records.read_next().map_err(unread)? {
            let row = match records.ends_open(text) {
                true => Err(RowProblem::OpenQuote),
                false => header.row(&records.record, text, &demand),
            };
            let row = row.map(|(raw, body)| Row { raw, example: Example { line, body } });
            rows.push(row.map_err(|problem| bad(line, problem)));
        }
        Ok(Table { format: Some(header.format), rows })
    }
}

/// The records of a table, and where each stands.
struct Records<'a> {
    bytes: &'a [u8],
    reader: Reader<&'a [u8]>,
    /// The record that was read last.
    record: ByteRecord,
    /// Bytes whose line breaks were counted.
    counted: usize,
    /// The line after those, counted from 1.
    line: usize,
}

impl<'a> Records<'a> {
    fn of(bytes: &'a [u8], delimiter: u8) -> Records<'a> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let quoted = delimiter != b'\t' || quotes::enclose_cells(bytes);
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(delimiter).quoting(quoted);
        let reader = builder.from_reader(bytes);
        Records { bytes, reader, record: ByteRecord::new(), counted: 0, line: 1 }
    }

    /// Whether a record took the rest of the file, over several lines, in a quote that is never closed.
    fn ends_open(&self, text: &[u8]) -> bool {
        let quotes = text.iter().filter(|byte| **byte == b'"').count();
        let at_end = self.reader.position().byte() as usize >= self.bytes.len();
        at_end && quotes % 2 == 1 && text.trim_ascii_end().contains(&b'\n')
    }

    /// The line that the next record begins on, and its bytes; `None` at the end.
    ///
    /// The parser's own count of lines is one behind where lines end in two characters.
    fn read_next(&mut self) -> Result<Option<(usize, &'a [u8])>, csv::Error> {
        let before = self.reader.position().byte() as usize;
        if !self.reader.read_byte_record(&mut self.record)? {
            return Ok(None);
        }
        let after = self.reader.position().byte() as usize;
        let read = self.bytes.get(before..after).unwrap_or_default();
        let breaks = read.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let start = before + breaks;
        let passed = self.bytes.get(self.counted..start).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.counted = start;
        Ok(Some((self.line, read.get(breaks..).unwrap_or_default())))
    }
}

/// The keys of a table.
pub(super) struct Header {
    keys: Vec<String>,
    /// The format that its rows have.
    pub(super) format: RowFormat,
}

impl Header {
    fn of(
        record: &ByteRecord,
        text: &[u8],
        settled: Option<RowFormat>,
    ) -> Result<Header, RowProblem> {
        check_text(text)?;
        let name = |(column, cell): (usize, &[u8])| {
            let name = String::from_utf8_lossy(cell).trim().to_owned();
            if name.is_empty() {
                format!("column_{}", column + 1)
            } else {
                name
            }
        };
        Header::of_names(record.iter().enumerate().map(name), settled)
    }

    /// The header of these names, in the format that is settled or that they tell.
    ///
    /// # Errors
    /// A name that is there twice, and names that tell no format.
    pub(super) fn of_names(
        names: impl Iterator<Item = String>,
        settled: Option<RowFormat>,
    ) -> Result<Header, RowProblem> {
        let mut keys: Map<String, Value> = Map::new();
        for name in names {
            if keys.contains_key(&name) {
                return Err(RowProblem::DuplicateKey { field: String::new(), key: excerpt(&name) });
            }
            keys.insert(name, Value::Null);
        }
        let unknown =
            || RowProblem::UnknownFormat { keys: keys.keys().map(|key| excerpt(key)).collect() };
        let format = settled.or_else(|| RowFormat::detect(&keys)).ok_or_else(unknown)?;
        Ok(Header { keys: keys.into_iter().map(|(key, _)| key).collect(), format })
    }

    /// A row under this header, and what it means.
    fn row(
        &self,
        record: &ByteRecord,
        text: &[u8],
        demand: &Demand<'_>,
    ) -> Result<(Map<String, Value>, Body), RowProblem> {
        check_text(text)?;
        if record.len() != self.keys.len() {
            return Err(RowProblem::CellCount { found: record.len(), expected: self.keys.len() });
        }
        let cells = record.iter().map(String::from_utf8_lossy);
        let filled = self.keys.iter().zip(cells).filter(|(_, cell)| !cell.trim().is_empty());
        let raw: Map<String, Value> =
            filled.map(|(key, cell)| (key.clone(), value(key, cell.into_owned()))).collect();
        let body = body(&raw, self.format, demand)?;
        Ok((raw, body))
    }
}

/// What a cell under that key holds.
fn value(key: &str, cell: String) -> Value {
    let written_as_json = STRUCTURED.contains(&key) && cell.trim_start().starts_with(['[', '{']);
    match written_as_json.then(|| serde_json::from_str(&cell)) {
        Some(Ok(value)) => value,
        Some(Err(_)) | None => Value::String(cell),
    }
}

/// Nothing, where a record is text of a bounded length.
fn check_text(text: &[u8]) -> Result<(), RowProblem> {
    if text.len() > MAX_LINE_BYTES {
        return Err(RowProblem::LineTooLong { limit: MAX_LINE_BYTES });
    }
    std::str::from_utf8(text).map(|_| ()).map_err(|error| RowProblem::NotUtf8 {
        byte: error.valid_up_to() + 1,
        found: text.get(error.valid_up_to()).copied().unwrap_or_default(),
    })
}

fn bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    Source::open(path)
        .and_then(|mut source| source.read_to_end(&mut bytes))
        .map_err(|source| unreadable(path, source))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ColumnMap;

    fn read(text: impl AsRef<[u8]>, options: &ReadOptions) -> Result<Table, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, text).unwrap();
        Table::read(&path, b',', options)
    }

    fn lines(table: &Table) -> Vec<usize> {
        let line = |row: &Result<Row, DataError>| match row {
            Ok(row) => row.example.line,
            Err(DataError::Row { line, .. }) => *line,
            Err(error) => panic!("{error}"),
        };
        table.rows.iter().map(line).collect()
    }

    #[test]
    fn a_row_begins_on_the_physical_line_of_its_first_cell() {
        let text = "\u{feff}prompt,completion\r\n\r\n\"a\r\nb, \"\"c\"\"\",d\r\ne,f\r\n\ng,h";
        let table = read(text, &ReadOptions::default()).unwrap();
        assert_eq!(lines(&table), [3, 5, 7]);
        let first = table.rows[0].as_ref().unwrap();
        let (prompt, completion) = ("a\r\nb, \"c\"".to_owned(), Some("d".to_owned()));
        assert_eq!(first.example.body, Body::PromptCompletion { prompt, completion });
    }

    #[test]
    fn columns_are_named_as_keys_are() {
        let columns = ColumnMap {
            prompt: Some("question".into()),
            completion: Some("answer".into()),
            text: None,
        };
        let options = ReadOptions { columns, require_answer: true, ..ReadOptions::default() };
        let table = read(",question,answer\n1,2 + 2?,4\n2,3 + 3?,\n", &options).unwrap();
        assert_eq!(table.format, Some(RowFormat::PromptCompletion));
        let first = table.rows[0].as_ref().unwrap();
        assert_eq!(first.raw["column_1"], "1");
        let error = table.rows[1].as_ref().unwrap_err().to_string();
        assert!(
            error.ends_with(
                "rows.csv:3`: `answer` is missing, expected a string or an array of messages"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_cell_of_messages_is_parsed() {
        let cell = r#"[{""role"": ""user"", ""content"": ""hi""}, {""role"": ""assistant"", ""content"": ""yo""}]"#;
        let table = read(format!("id,messages\n7,\"{cell}\"\n8,oops\n"), &ReadOptions::default());
        let table = table.unwrap();
        let first = table.rows[0].as_ref().unwrap();
        assert_eq!(first.example.reference(), Some("yo"));
        let error = table.rows[1].as_ref().unwrap_err().to_string();
        assert!(error.ends_with(":3`: `messages` is a string, expected an array"), "{error}");
    }

    #[test]
    fn quotes_in_a_tsv_enclose_cells_or_are_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.tsv");
        let pairs = |text: &str| -> Vec<(String, Option<String>)> {
            std::fs::write(&path, text).unwrap();
            let table = Table::read(&path, b'\t', &ReadOptions::default()).unwrap();
            let pair = |row: Result<Row, DataError>| match row.unwrap().example.body {
                Body::PromptCompletion { prompt, completion } => (prompt, completion),
                body => panic!("{body:?}"),
            };
            table.rows.into_iter().map(pair).collect()
        };
        let pair = |prompt: &str, answer: &str| (prompt.to_owned(), Some(answer.to_owned()));
        let enclosed = "prompt\tcompletion\n\"He said \"\"no\"\"\nand left\"\t\"ok\"\n";
        assert_eq!(pairs(enclosed), [pair("He said \"no\"\nand left", "ok")]);
        let text = "prompt\tcompletion\n\"No\" is a word\tyes\nWho?\t\"me\n";
        assert_eq!(pairs(text), [pair("\"No\" is a word", "yes"), pair("Who?", "\"me")]);
    }

    #[test]
    fn rows_that_do_not_fit_the_header_are_bad() {
        let table = read(b"text,id\na\nb,2,3\n\xff,4\n", &ReadOptions::default()).unwrap();
        let told = |row: &Result<Row, DataError>| match row.as_ref().unwrap_err() {
            DataError::Row { line, problem, .. } => (*line, problem.to_string()),
            error => panic!("{error}"),
        };
        let told: Vec<(usize, String)> = table.rows.iter().map(told).collect();
        let expected = [
            (2, "the number of cells is 1, expected 2 as in the header"),
            (3, "the number of cells is 3, expected 2 as in the header"),
            (4, "byte 1 of the line is 0xff, expected UTF-8"),
        ];
        assert_eq!(told, expected.map(|(line, problem)| (line, problem.to_owned())));
    }

    #[test]
    fn a_header_that_names_no_format_or_a_key_twice_is_refused() {
        let error = |text: &str| read(text, &ReadOptions::default()).err().unwrap().to_string();
        assert!(error("q,a\n1,2\n").contains("rows.csv:1`: the row has the keys `q`, `a`"));
        assert!(error("text,text\n1,2\n")
            .ends_with("the row has the key `text` twice, expected it once"));
        assert!(read("", &ReadOptions::default()).unwrap().rows.is_empty());
    }
}
