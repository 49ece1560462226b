//! How files are read, whatever their rows are.

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use flate2::Compression;
use tunewise_data::{
    find_splits, read_file, BadRow, DataError, Example, ReadOptions, Row, RowFormat, RowReader,
    SplitFiles,
};

use crate::folder::*;

#[test]
fn marks_carriage_returns_and_blank_lines_are_accepted_and_lines_are_physical() {
    let bytes = format!("\u{feff}\r\n{ANSWERED}\r\n   \r\n\n{ANSWERED}");
    let set = read(bytes, &answers());
    let lines: Vec<usize> = set.rows.iter().map(|row| row.example.line).collect();
    assert_eq!((lines, set.rows_read), (vec![2, 5], 2));
}

#[test]
fn gzip_is_read_and_the_hash_is_that_of_the_file() {
    let folder = Folder::new();
    let plain = format!("{ANSWERED}\n{ANSWERED}\n");
    let path = folder.write("train.jsonl", &plain);
    let read_plain = read_file(&path, &answers()).unwrap();
    assert_eq!(
        read_plain.sha256,
        "e845664258b5bcb6e809af337d645a9df4317765c7cdb078ffe0b2438cd6a798"
    );

    let packed = gzip(plain.as_bytes());
    // Two members one after the other, as `cat a.gz b.gz` makes them.
    let twice = [packed.clone(), packed].concat();
    for name in ["train.jsonl.gz", "train.jsonl"] {
        let set = read_file(&folder.write(name, &twice), &answers()).unwrap();
        assert_eq!(set.rows.len(), 4);
        assert_ne!(set.sha256, read_plain.sha256);
        assert_eq!(set.sha256.len(), 64);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn damaged_gzip_is_an_error_even_where_bad_rows_are_skipped() {
    let folder = Folder::new();
    let many: String = (0..2000).map(|at| format!("{{\"text\": \"{}\"}}\n", at * 7919)).collect();
    let packed = gzip(many.as_bytes());
    let path = folder.write("train.jsonl.gz", &packed[..packed.len() - 200]);
    let error = read_file(&path, &skipping()).unwrap_err();
    let DataError::Gzip { line, .. } = error else { panic!("{error}") };
    assert!((1500..2000).contains(&line), "{line}");
    assert_eq!(
        folder.told(&error),
        format!(
            "`data/train.jsonl.gz`: the gzip data breaks after line {line}: incomplete deflate stream"
        )
    );
    assert_eq!(
        error.hint().unwrap(),
        "the file is damaged or was cut while copying: fetch it again"
    );
    let path = folder.write("other.jsonl.gz", ANSWERED);
    let error = read_file(&path, &skipping()).unwrap_err();
    assert_eq!(
        folder.told(&error),
        "`data/other.jsonl.gz`: the gzip data breaks after line 0: invalid gzip header"
    );
}

#[test]
fn gzip_cut_anywhere_is_an_error() {
    let folder = Folder::new();
    let packed = gzip(ANSWERED.as_bytes());
    for end in 1..packed.len() {
        let error = read_file(&folder.write("train.jsonl.gz", &packed[..end]), &answers());
        assert!(matches!(error, Err(DataError::Gzip { .. })), "{end}: {error:?}");
    }
}

#[test]
fn a_line_of_a_hundred_megabytes_is_refused_or_skipped() {
    let folder = Folder::new();
    let long = format!("{{\"text\": \"{}\"}}", "x".repeat(100 << 20));
    let path = folder.write("train.jsonl", format!("{ANSWERED}\n{long}\n{ANSWERED}\n"));
    drop(long);
    let error = read_file(&path, &answers()).unwrap_err();
    assert_eq!(folder.told(&error), "`data/train.jsonl:2`: the line is longer than 16777216 bytes");
    assert_eq!(error.hint().unwrap(), "split the row; a row that long fits no model's context");
    let set = read_file(&path, &skipping()).unwrap();
    let lines: Vec<usize> = set.rows.iter().map(|row| row.example.line).collect();
    assert_eq!((lines, set.bad_rows[0].line), (vec![1, 3], 2));
}

#[test]
fn the_first_good_row_settles_the_format_of_the_file() {
    let folder = Folder::new();
    let bytes =
        format!("{{\"text\": 1}}\n{ANSWERED}\n{{\"text\": \"t\"}}\n{{\"x\": 1}}\n{ANSWERED}\n");
    let set = read_file(&folder.write("train.jsonl", &bytes), &skipping()).unwrap();
    assert_eq!((set.format, set.rows.len(), set.rows_read), (RowFormat::Messages, 2, 5));
    let bad = |line, message: &str, hint: &str| BadRow {
        line,
        message: message.into(),
        hint: hint.into(),
    };
    assert_eq!(
        set.bad_rows,
        [
            bad(1, "`text` is a number, expected a string", "put the value in quotes"),
            bad(
                3,
                "the row has the format `text`, expected `messages` as in the rows before",
                "put rows of one format in one file"
            ),
            bad(
                4,
                "`messages` is missing, expected an array of messages",
                "add it, or drop the row"
            ),
        ]
    );
    let later = format!("{ANSWERED}\n\n{{\"text\": \"t\"}}\n");
    assert_eq!(
        folder.error(later, &answers()).0,
        "`data/train.jsonl:3`: the row has the format `text`, expected `messages` as in the rows before"
    );
}

#[test]
fn a_reader_goes_on_after_a_bad_row() {
    let path = Folder::new();
    let path = (path.write("train.jsonl", "{\"text\": \"a\"}\noops\n{\"text\": \"b\"}\n"), path);
    let mut rows = Vec::new();
    let mut reader = RowReader::open(&path.0, &answers()).unwrap();
    reader
        .for_each(
            |row| row.example.line,
            |line| {
                rows.push(line.ok());
                Ok::<_, DataError>(ControlFlow::Continue(()))
            },
        )
        .unwrap();
    assert_eq!(rows, [Some(1), None, Some(3)]);
}

#[test]
fn a_reader_ends_where_it_is_told_to() {
    let folder = Folder::new();
    let path = folder.write("train.jsonl", format!("{ANSWERED}\n").repeat(3));
    let mut lines = Vec::new();
    let mut reader = RowReader::open(&path, &answers()).unwrap();
    let take = |line: Result<usize, DataError>| {
        lines.push(line?);
        Ok::<_, DataError>(match lines.len() {
            2 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    };
    reader.for_each(|row| row.example.line, take).unwrap();
    assert_eq!(lines, [1, 2]);
}

#[test]
fn rows_come_in_order_from_any_number_of_threads_and_faults_stay_in_their_place() {
    let folder = Folder::new();
    // Several batches, with bad rows before the first good one and among the others.
    let row = |row: usize| match row {
        0 | 1 | 5000 => "{}\n".to_owned(),
        _ => format!("{{\"text\": \"{row} {}\"}}\n", "x".repeat(row % 400)),
    };
    let path = folder.write("train.jsonl", (0..9000).map(row).collect::<String>());
    let lines = |threads: usize| {
        let mut lines = Vec::new();
        let mut reader = RowReader::open(&path, &answers()).unwrap();
        let mut take = |row: Result<Row, DataError>| {
            lines.push(row.map(|row| row.example).map_err(|error| error.to_string()));
            Ok::<_, DataError>(ControlFlow::Continue(()))
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| reader.for_each(|row| row, &mut take)).unwrap();
        lines
    };
    let serial = lines(1);
    assert_eq!(serial, lines(4));
    let bad: Vec<usize> = (0..serial.len()).filter(|at| serial[*at].is_err()).collect();
    assert_eq!((serial.len(), bad), (9000, vec![0, 1, 5000]));
    let numbered = |(at, row): (usize, &Result<Example, String>)| match row {
        Ok(row) => row.line == at + 1,
        Err(told) => told.contains(&format!(":{}`", at + 1)),
    };
    assert!(serial.iter().enumerate().all(numbered));
}

#[test]
fn files_without_rows_and_paths_without_files_are_errors() {
    let folder = Folder::new();
    let write = "write one JSON object per line".to_owned();
    let none = "`data/train.jsonl` has no rows, expected at least one".to_owned();
    for bytes in ["", "\n  \n\r\n", "\u{feff}"] {
        assert_eq!(folder.error(bytes, &answers()), (none.clone(), write.clone()));
    }
    assert_eq!(
        folder.error("oops\noops\n", &skipping()),
        (none, "all 2 rows are bad: read them with `--on-bad-row fail` to see why".to_owned())
    );
    let missing = read_file(&folder.0.path().join("absent.jsonl"), &answers()).unwrap_err();
    assert_eq!(
        folder.told(&missing),
        "`data/absent.jsonl` does not exist, expected a file or a folder"
    );
    assert_eq!(missing.hint().unwrap(), "check the spelling and the working folder");
    let is_folder = read_file(folder.0.path(), &answers()).unwrap_err();
    assert_eq!(folder.told(&is_folder), "`data` is a folder, expected a file");
    assert_eq!(is_folder.hint().unwrap(), "name one of its files");
}

#[test]
fn a_folder_holds_its_splits() {
    let folder = Folder::new();
    let path = folder.0.path();
    let told = |error: DataError| (folder.told(&error), error.hint().unwrap());
    folder.write("notes.txt", "");
    assert_eq!(
        told(find_splits(path).unwrap_err()),
        (
            "`data` has no training file, expected `train.jsonl` or `train.jsonl.gz`, found nothing".into(),
            "rename a file to `train.jsonl`, or name one file instead of the folder".into()
        )
    );
    let dev = folder.write("dev.jsonl.gz", "");
    assert_eq!(
        told(find_splits(path).unwrap_err()).0,
        "`data` has no training file, expected `train.jsonl` or `train.jsonl.gz`, found `dev.jsonl.gz`"
    );
    let train = folder.write("train.jsonl", "");
    let found = SplitFiles { train: train.clone(), valid: Some(dev), test: None };
    assert_eq!(find_splits(path).unwrap(), found);
    assert_eq!(find_splits(&train).unwrap(), SplitFiles { train, valid: None, test: None });
    folder.write("valid.jsonl", "");
    assert_eq!(
        told(find_splits(path).unwrap_err()),
        (
            "`data` has `dev.jsonl.gz`, `valid.jsonl` for one split, expected one file".into(),
            "keep one of them".into()
        )
    );
    assert!(matches!(find_splits(&path.join("absent")), Err(DataError::Missing { .. })));
}

#[test]
fn the_shared_data_is_read_without_a_bad_row() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let Ok(folders) = fs::read_dir(&shared) else {
        eprintln!("skipped: ../shared is absent");
        return;
    };
    let mut files: Vec<PathBuf> = folders
        .filter_map(|folder| fs::read_dir(folder.unwrap().path()).ok())
        .flat_map(|files| files.map(|file| file.unwrap().path()))
        .filter(|file| file.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    let mut rows = 0;
    for file in files {
        // Those conversations end with the customer.
        let require_answer = !file.starts_with(shared.join("support_dialogues"));
        let set = read_file(&file, &ReadOptions { require_answer, ..ReadOptions::default() })
            .unwrap_or_else(|error| panic!("{error}"));
        let format = match file.ends_with("seed_tasks/alpaca_format.jsonl") {
            true => RowFormat::Alpaca,
            false => RowFormat::Messages,
        };
        assert_eq!((set.format, set.bad_rows.len()), (format, 0), "{}", file.display());
        rows += set.rows.len();
    }
    assert_eq!(rows, 175_997);
}
