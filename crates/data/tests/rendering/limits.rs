use super::*;
use tunewise_data::{
    read_file, tokenize, tokenize_file, DataError, DataSet, ExcessLength, OnBadRow, ReadOptions,
    Tokenization, TrainOn,
};

fn set(lines: &[Value]) -> (tempfile::TempDir, DataSet) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, text).unwrap();
    let set =
        read_file(&path, &ReadOptions { require_answer: true, ..ReadOptions::default() }).unwrap();
    (folder, set)
}

fn row(answer: &str) -> Value {
    json!({"messages": [{"role": "user", "content": "!"}, {"role": "assistant", "content": answer}]})
}

/// Tokens of the row with a one-letter answer: see `the_tokens_of_a_short_row_are_exact`.
const SHORT: usize = 12;

#[test]
fn a_row_at_the_limit_is_kept_whole() {
    let (_folder, set) = set(&[row("$"), row("$$$$$$")]);
    let renderer = renderer("tiny-bytes");
    let found = tokenize(&renderer, &set, TrainOn::All, SHORT, ExcessLength::Drop).unwrap();
    assert_eq!(
        (found.rows, found.examples.len(), found.truncated, found.dropped.as_slice()),
        (2, 1, 0, [2].as_slice())
    );
    assert_eq!((found.tokens(), found.supervised_tokens()), (SHORT, 2));
}

#[test]
fn truncation_cuts_the_end_and_is_counted() {
    let (_folder, set) = set(&[row("$"), row("$$$$$$")]);
    let renderer = renderer("tiny-bytes");
    let found = tokenize(&renderer, &set, TrainOn::All, 11, ExcessLength::Truncate).unwrap();
    let lengths: Vec<(usize, usize)> = found
        .examples
        .iter()
        .map(|example| (example.ids.len(), example.supervised_tokens()))
        .collect();
    assert_eq!((found.truncated, lengths), (2, vec![(11, 2), (11, 2)]));
}

#[test]
fn a_row_beyond_the_limit_is_an_error_naming_it() {
    let (_folder, set) = set(&[row("$"), row("$$$$$$")]);
    let error = tokenize(&renderer("tiny-bytes"), &set, TrainOn::All, SHORT, ExcessLength::Raise)
        .unwrap_err();
    let message = error.to_string();
    assert!(message.ends_with("expected at most 12 (`max_length`)"), "{message}");
    assert!(message.starts_with(&format!("`{}:2`: the row has ", set.path.display())), "{message}");
    assert!(error.hint().unwrap().contains("truncate"));
}

#[test]
fn a_row_that_loses_every_supervised_token_is_an_error_naming_it() {
    let (_folder, set) = set(&[row("$")]);
    let error = tokenize(&renderer("tiny-bytes"), &set, TrainOn::All, 9, ExcessLength::Truncate)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`{}:1`: no token is supervised: the first supervised token is number 10, cut off by `max_length` 9",
            set.path.display()
        )
    );
}

#[test]
fn a_row_whose_turns_have_weight_zero_is_an_error_naming_it() {
    let mut line = row("$");
    line["messages"][1]["weight"] = json!(0);
    let (_folder, set) = set(&[line]);
    let error =
        tokenize(&renderer("tiny-bytes"), &set, TrainOn::All, 99, ExcessLength::Raise).unwrap_err();
    assert!(error
        .to_string()
        .ends_with(":1`: no token is supervised: the turns to train have `weight` 0"));
}

#[test]
fn a_row_that_becomes_several_is_told() {
    let line = json_file(&beside("golden/rows.json"))["conversations"]["thoughts"].clone();
    let (_folder, set) = set(&[row("$"), line]);
    let found =
        tokenize(&under("forgets_thoughts"), &set, TrainOn::All, 999, ExcessLength::Raise).unwrap();
    assert_eq!((found.split.as_slice(), found.examples.len()), ([2].as_slice(), 3));
    assert_eq!(found.examples.iter().map(|example| example.line).collect::<Vec<_>>(), [1, 2, 2]);
}

#[test]
fn a_text_far_beyond_the_limit_is_told_without_its_tokens() {
    let long = "$".repeat(2 << 20);
    let question = json!({"messages": [
        {"role": "user", "content": long}, {"role": "assistant", "content": "$"}]});
    for (lines, bytes) in [([row(&long), row("$")], 2_097_203), ([question, row("$")], 2_097_202)] {
        let (_folder, set) = set(&lines);
        let renderer = renderer("tiny-bytes");
        let tokens = |strategy| tokenize(&renderer, &set, TrainOn::All, SHORT, strategy);
        let message = tokens(ExcessLength::Raise).unwrap_err().to_string();
        let expected = format!(
            "`{}:1`: the row has {bytes} bytes of text, more than 12 tokens can hold (`max_length`)",
            set.path.display()
        );
        assert_eq!(message, expected);
        let found = tokens(ExcessLength::Drop).unwrap();
        assert_eq!((found.examples.len(), found.dropped.as_slice()), (1, [1].as_slice()));
    }
}

#[test]
fn a_long_row_within_the_limit_is_kept_whole() {
    let long = "$".repeat(2 << 20);
    let (_folder, set) = set(&[row(&long)]);
    let renderer = renderer("tiny-bytes");
    let found = tokenize(&renderer, &set, TrainOn::All, 4 << 20, ExcessLength::Raise).unwrap();
    assert_eq!(found.examples.len(), 1);
    assert!(found.tokens() > 1 << 18, "{}", found.tokens());
}

#[test]
fn a_file_has_the_tokens_of_its_rows_for_any_number_of_threads() {
    // Enough for several batches; some rows hold literals, and some are beyond the limit.
    let answer = |index: usize| match index % 7 {
        0 => format!("<|im_end|> {index}"),
        1 => "long ".repeat(60),
        _ => format!("Answer {index}, and what follows from it."),
    };
    let lines: Vec<Value> = (0..8000).map(|index| row(&answer(index))).collect();
    let (_folder, set) = set(&lines);
    let renderer = renderer("tiny-bytes");
    let (train_on, max_length, strategy) = (TrainOn::All, 99, ExcessLength::Drop);
    let tokenization = Tokenization { renderer: &renderer, train_on, max_length, strategy };
    let options = ReadOptions { require_answer: true, ..ReadOptions::default() };
    let made = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| tokenize_file(tokenization, &set.path, &options)).unwrap()
    };
    let of_set = tokenize(&renderer, &set, train_on, max_length, strategy).unwrap();
    for threads in [1, 4] {
        let file = made(threads);
        let examples = file.rows.iter().collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(examples, of_set.examples);
        let counts = file.counts;
        assert_eq!(
            (counts.rows, counts.dropped, counts.truncated, counts.split),
            (8000, of_set.dropped.len(), of_set.truncated, of_set.split.len())
        );
        assert_eq!((file.rows_read, &file.sha256), (8000, &set.sha256));
        let first = examples[0].line;
        assert_eq!(file.first.as_ref(), Some(&set.rows[first - 1].example));
    }
    assert!(!of_set.dropped.is_empty());
    let mut one_by_one = Vec::new();
    for row in &set.rows {
        one_by_one.extend(renderer.encode_training(&row.example, train_on).unwrap());
    }
    one_by_one.retain(|example| example.ids.len() <= max_length);
    assert_eq!(of_set.examples, one_by_one);
}

#[test]
fn the_first_fault_of_a_file_is_told_whatever_its_kind() {
    let (_folder, set) = set(&[row("$"), row(&"$".repeat(99)), row("$")]);
    let text = std::fs::read_to_string(&set.path).unwrap();
    let renderer = renderer("tiny-bytes");
    let fault = |text: String, on_bad_row| {
        std::fs::write(&set.path, text).unwrap();
        let (train_on, strategy) = (TrainOn::All, ExcessLength::Raise);
        let tokenization =
            Tokenization { renderer: &renderer, train_on, max_length: SHORT, strategy };
        let options = ReadOptions { require_answer: true, on_bad_row, ..ReadOptions::default() };
        tokenize_file(tokenization, &set.path, &options).unwrap_err()
    };
    let line = |error: DataError| match error {
        DataError::Row { line, .. } => (line, "row"),
        DataError::Render { line, path: Some(_), .. } => (line, "tokens"),
        other => panic!("{other}"),
    };
    assert_eq!(line(fault(format!("{text}oops\n"), OnBadRow::Fail)), (2, "tokens"));
    assert_eq!(line(fault(format!("oops\n{text}"), OnBadRow::Fail)), (1, "row"));
    assert_eq!(line(fault(format!("oops\n{text}"), OnBadRow::Skip)), (3, "tokens"));
    let none = fault("oops\n\n".into(), OnBadRow::Skip);
    assert!(matches!(none, DataError::NoRows { skipped: 1, .. }));
}
