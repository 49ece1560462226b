//! Parquet files, as Hugging Face keeps data sets: each row an object under the names of the columns.
//!
//! Every row of a Parquet file has all keys of the schema, so a key without a value is one that the row does not have.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;

use ::parquet::basic::CompressionCodec;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Row as Record;
use rayon::prelude::*;
use serde_json::{Map, Value};

use super::error::PrepareError;
use super::record::object;
use super::table::{Header, Table};
use crate::error::DataError;
use crate::example::Example;
use crate::line::MAX_LINE_BYTES;
use crate::problem::RowProblem;
use crate::read::{ReadOptions, Row};
use crate::row::{body, Demand};
use crate::source::Source;
use crate::splits::unreadable;

/// The ways of compression that are unpacked.
const UNPACKED: [CompressionCodec; 4] = [
    CompressionCodec::UNCOMPRESSED,
    CompressionCodec::SNAPPY,
    CompressionCodec::GZIP,
    CompressionCodec::ZSTD,
];

impl Table {
    /// The rows of a Parquet file, the line of each being its number, counted from 1.
    ///
    /// Source: <https://parquet.apache.org/docs/file-format/>.
    ///
    /// # Errors
    /// A file that cannot be read or unpacked, a column mapping that contradicts the format, columns that name no
    /// format.
    pub(super) fn read_parquet(path: &Path, options: &ReadOptions) -> Result<Table, PrepareError> {
        let settled = options.columns.settle(options.format)?;
        let file = unpacked(path).map_err(|source| unreadable(path, source))?;
        let Contents { names, rows } = Contents::read(path, file)?;
        let bad = |line: usize, problem: RowProblem| DataError::Row {
            path: path.to_owned(),
            line,
            problem: Box::new(problem),
        };
        let header = Header::of_names(names.into_iter(), settled);
        let header = header.map_err(|problem| bad(1, problem))?;
        let demand = Demand { columns: &options.columns, answer: options.require_answer };
        let row = |(number, raw): (usize, Map<String, Value>)| -> Result<Row, DataError> {
            let line = number + 1;
            let read = check_length(&raw).and_then(|()| body(&raw, header.format, &demand));
            let body = read.map_err(|problem| bad(line, problem))?;
            Ok(Row { raw, example: Example { line, body } })
        };
        let rows = rows.into_par_iter().enumerate().map(row).collect();
        Ok(Table { format: Some(header.format), rows })
    }
}

/// What a Parquet file holds.
struct Contents {
    /// The names of its columns.
    names: Vec<String>,
    /// Its rows, without what is null in them.
    rows: Vec<Map<String, Value>>,
}

impl Contents {
    fn read(path: &Path, file: File) -> Result<Contents, PrepareError> {
        let broken = |row: usize| {
            let path = path.to_owned();
            move |source: ParquetError| PrepareError::BrokenParquet { path, row, source }
        };
        let reader = guarded(|| SerializedFileReader::new(file)).map_err(broken(0))?;
        let metadata = reader.metadata();
        if let Some(codec) = foreign_codec(metadata) {
            let codec = codec.to_string().to_lowercase();
            return Err(PrepareError::ParquetCodec { path: path.to_owned(), codec });
        }
        let columns = metadata.file_metadata().schema().get_fields();
        let names = columns.iter().map(|column| column.name().to_owned()).collect();
        let mut rows = Vec::new();
        let read = guarded(|| for_each_record(&reader, |record| rows.push(object(&record))));
        read.map_err(broken(rows.len()))?;
        Ok(Contents { names, rows })
    }
}

/// The file itself, or what it holds unpacked where it is gzipped as a whole.
fn unpacked(path: &Path) -> io::Result<File> {
    if !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz")) {
        return File::open(path);
    }
    // A Parquet file is read from its end, so it has to lie somewhere as a whole.
    let mut file = tempfile::tempfile()?;
    io::copy(&mut Source::open(path)?, &mut file)?;
    Ok(file)
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is reading what may make the decoder of Parquet files panic, of which an error tells.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// What `read` returns; where it panics, as the decoder does at some damage and some types, an error too.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    GUARDED.set(true);
    let caught = catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(false);
    caught.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let told = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(ParquetError::General(told.unwrap_or("the decoder stopped").to_owned()))
    })
}

/// The first way of compression in a file that is not unpacked.
fn foreign_codec(metadata: &ParquetMetaData) -> Option<CompressionCodec> {
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let mut codecs = columns.map(ColumnChunkMetaData::compression_codec);
    codecs.find(|codec| !UNPACKED.contains(codec))
}

fn for_each_record(
    reader: &SerializedFileReader<File>,
    mut take: impl FnMut(Record),
) -> Result<(), ParquetError> {
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number)?;
        let records = group.get_row_iter(None)?;
        for record in records {
            take(record?);
        }
    }
    Ok(())
}

/// Nothing, where a row is of a bounded length, as a line is.
fn check_length(raw: &Map<String, Value>) -> Result<(), RowProblem> {
    match length_of(raw) > MAX_LINE_BYTES {
        true => Err(RowProblem::LineTooLong { limit: MAX_LINE_BYTES }),
        false => Ok(()),
    }
}

/// Bytes of an object's texts.
fn length_of(object: &Map<String, Value>) -> usize {
    object.iter().map(|(key, held)| key.len() + text_length(held)).sum()
}

fn text_length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_length).sum(),
        Value::Object(entries) => length_of(entries),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use ::parquet::data_type::{ByteArray, ByteArrayType};
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;
    use serde_json::json;

    use super::*;
    use crate::example::Body;
    use crate::format::{ColumnMap, RowFormat};

    const PAIRS: &str = "message rows {
        optional binary prompt (STRING);
        optional binary completion (STRING);
    }";

    /// A column of texts with its levels; without repetition where every row has one value at most.
    struct Column<'a> {
        values: &'a [&'a str],
        definition: &'a [i16],
        repetition: Option<&'a [i16]>,
    }

    fn write(path: &Path, schema: &str, columns: &[Column<'_>]) {
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let file = File::create(path).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
        let mut group = writer.next_row_group().unwrap();
        for Column { values, definition, repetition } in columns {
            let values: Vec<ByteArray> = values.iter().map(|text| ByteArray::from(*text)).collect();
            let mut column = group.next_column().unwrap().unwrap();
            let typed = column.typed::<ByteArrayType>();
            typed.write_batch(&values, Some(*definition), *repetition).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();
    }

    /// A file of two pairs, the second without an answer, in a folder of its own.
    fn pairs() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairs.parquet");
        let prompts =
            Column { values: &["Where?", "When?"], definition: &[1, 1], repetition: None };
        let answers = Column { values: &["Here."], definition: &[1, 0], repetition: None };
        write(&path, PAIRS, &[prompts, answers]);
        (folder, path)
    }

    fn answered() -> ReadOptions {
        ReadOptions { require_answer: true, ..ReadOptions::default() }
    }

    #[test]
    fn a_row_without_a_value_lacks_the_key_and_is_told_by_its_number() {
        let (_folder, path) = pairs();
        let table = Table::read_parquet(&path, &answered()).unwrap();
        assert_eq!(table.format, Some(RowFormat::PromptCompletion));
        let first = table.rows[0].as_ref().unwrap();
        let (prompt, completion) = ("Where?".to_owned(), Some("Here.".to_owned()));
        assert_eq!(
            first.example,
            Example { line: 1, body: Body::PromptCompletion { prompt, completion } }
        );
        let error = table.rows[1].as_ref().unwrap_err().to_string();
        let told =
            "pairs.parquet:2`: `completion` is missing, expected a string or an array of messages";
        assert!(error.ends_with(told), "{error}");
    }

    #[test]
    fn messages_are_lists_of_objects_without_their_nulls() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chats.parquet");
        let schema = "message rows {
            optional group messages (LIST) {
                repeated group list {
                    optional group element {
                        optional binary role (STRING);
                        optional binary content (STRING);
                        optional binary name (STRING);
                    }
                }
            }
            optional binary source (STRING);
        }";
        let starts: &[i16] = &[0, 1, 0, 1];
        let full: &[i16] = &[4, 4, 4, 4];
        let (user, assistant) = ("user", "assistant");
        let roles = [user, assistant, user, assistant];
        let texts = ["Where?", "Here.", "When?", "Now."];
        let columns = [
            Column { values: &roles, definition: full, repetition: Some(starts) },
            Column { values: &texts, definition: full, repetition: Some(starts) },
            Column { values: &["bob"], definition: &[3, 3, 4, 3], repetition: Some(starts) },
            Column { values: &["mail"], definition: &[1, 0], repetition: None },
        ];
        write(&path, schema, &columns);
        let table = Table::read_parquet(&path, &answered()).unwrap();
        assert_eq!(table.format, Some(RowFormat::Messages));
        let raw = |row: usize| Value::Object(table.rows[row].as_ref().unwrap().raw.clone());
        let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
        let first = json!([turn(user, "Where?"), turn(assistant, "Here.")]);
        assert_eq!(raw(0), json!({ "messages": first, "source": "mail" }));
        let asked = json!({ "role": user, "content": "When?", "name": "bob" });
        assert_eq!(raw(1), json!({ "messages": [asked, turn(assistant, "Now.")] }));
    }

    #[test]
    fn columns_can_be_called_otherwise_and_must_tell_a_format() {
        let (_folder, path) = pairs();
        let columns = ColumnMap { text: Some("prompt".into()), ..ColumnMap::default() };
        let options = ReadOptions { columns, ..ReadOptions::default() };
        let table = Table::read_parquet(&path, &options).unwrap();
        let second = &table.rows[1].as_ref().unwrap().example;
        assert_eq!(second.body, Body::Text { text: "When?".into() });
        let question = Column { values: &["Where?"], definition: &[1], repetition: None };
        write(&path, "message rows { optional binary q (STRING); }", &[question]);
        let error = Table::read_parquet(&path, &answered()).err().unwrap().to_string();
        let told = "pairs.parquet:1`: the row has the keys `q`, expected those of a row format";
        assert!(error.ends_with(told), "{error}");
    }

    #[test]
    fn damage_is_told_with_the_file() {
        let (_folder, path) = pairs();
        let whole = std::fs::read(&path).unwrap();
        let mut overwritten = whole.clone();
        overwritten[4..40].fill(0xff);
        for damaged in [&whole[..whole.len() / 2], &overwritten[..], &b"PAR1"[..]] {
            std::fs::write(&path, damaged).unwrap();
            let error = Table::read_parquet(&path, &answered()).err().unwrap();
            assert!(matches!(error, PrepareError::BrokenParquet { row: 0, .. }), "{error}");
            let told =
                format!("`{}`: the Parquet data cannot be read after row 0: ", path.display());
            assert!(error.to_string().starts_with(&told), "{error}");
        }
    }

    #[test]
    fn a_gzipped_file_is_unpacked() {
        let (folder, path) = pairs();
        let packed = folder.path().join("pairs.parquet.gz");
        let file = File::create(&packed).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        io::copy(&mut File::open(&path).unwrap(), &mut encoder).unwrap();
        encoder.finish().unwrap();
        let rows = Table::read_parquet(&packed, &ReadOptions::default()).unwrap().rows;
        assert_eq!(rows[1].as_ref().unwrap().raw["prompt"], "When?");
    }

    #[test]
    fn a_row_is_as_long_as_its_texts() {
        let row = json!({ "ab": "cde", "f": [1, "gh", { "i": null }] });
        assert_eq!(length_of(row.as_object().unwrap()), 11);
        let long = json!({ "text": "a".repeat(MAX_LINE_BYTES) });
        let problem = check_length(long.as_object().unwrap()).unwrap_err();
        assert_eq!(problem, RowProblem::LineTooLong { limit: MAX_LINE_BYTES });
    }
}
