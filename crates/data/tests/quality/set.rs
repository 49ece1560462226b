//! Small sets, and exactly what is found in them.

use tunewise_data::quality::{Code, QualityReport};

use crate::{chat, report};

/// The lines of a code's rows in a file.
fn lines(report: &QualityReport, code: Code) -> Vec<(usize, usize)> {
    let finding = report.findings.iter().find(|finding| finding.code == code);
    let rows = finding.map_or(&[][..], |finding| &finding.rows);
    rows.iter().map(|found| (found.place.file, found.place.line)).collect()
}

/// Thirty questions on two subjects with a label each.
fn labelled() -> Vec<String> {
    let places =
        ["Paris", "Oslo", "Lima", "Cairo", "Quito", "Delhi", "Rome", "Bern", "Kyoto", "Accra"];
    let subjects = [
        ("refund my cancelled hotel night in", "refund"),
        ("book a window seat on the train to", "booking"),
    ];
    let rows = subjects.iter().flat_map(|(text, label)| {
        let ask = move |(n, place): (usize, &&str)| {
            chat(&format!("please {text} {place} for {} guests number {n}", n + 2), label)
                .to_string()
        };
        places.iter().enumerate().map(ask)
    });
    rows.collect()
}

#[test]
fn one_question_with_two_labels_is_a_contradiction() {
    let mut rows = labelled();
    rows.push(
        chat("Please refund my cancelled hotel night in Paris, for 2 guests, number 0!", "booking")
            .to_string(),
    );
    let report = report(&[&rows]);
    assert_eq!(report.labels, Some(2));
    assert_eq!(lines(&report, Code::Contradiction), [(0, 1), (0, 21)]);
    let finding = report.findings.iter().find(|f| f.code == Code::Contradiction).unwrap();
    assert_eq!(finding.rows[0].other.unwrap().line, 21);
    assert_eq!(report.rows, 21);
}

#[test]
fn long_and_short_questions_of_another_split_are_told_apart() {
    let train: Vec<String> =
        labelled().into_iter().chain([chat("Good morning", "booking").to_string()]).collect();
    let long =
        chat("please book a window seat on the train to Oslo for 3 guests number 1", "booking");
    let near =
        chat("please book a window seat on the train to Oslo for 3 guests numbers 1", "booking");
    let other =
        chat("what does the breakfast at the harbour cost for two children under six", "refund");
    let test = [long, near, other, chat("good morning!", "booking")].map(|row| row.to_string());
    let report = report(&[&train, &test]);
    assert_eq!(lines(&report, Code::Leak), [(1, 1)]);
    assert_eq!(lines(&report, Code::NearLeak), [(1, 2)]);
    assert_eq!(lines(&report, Code::ShortLeak), [(1, 4)]);
}

#[test]
fn labels_of_the_test_that_training_lacks_are_told() {
    let test = [chat("where is my bag", "lost-bag").to_string()];
    let report = report(&[&labelled(), &test]);
    assert_eq!(lines(&report, Code::UnseenLabel), [(1, 1)]);
    assert_eq!(lines(&report, Code::RareLabel), []);
}

#[test]
fn copies_and_repeated_replies_are_told() {
    let reply = "We are sorry, our agents are all busy right now.";
    let mut rows: Vec<String> = (0..40)
        .map(|n| {
            chat(
                &format!("Question {n} about order {} and parcel {}", n * 7919, n * 104_729),
                &format!("It is answer {n}, and it differs from the others by {}.", n * 31),
            )
            .to_string()
        })
        .collect();
    let repeated = [
        "visa",
        "parking",
        "breakfast",
        "dogs",
        "smoking",
        "towels",
        "sauna",
        "taxi",
        "museum",
        "ferry",
    ];
    rows.extend(
        repeated
            .map(|about| chat(&format!("Tell me all about {about}, please."), reply).to_string()),
    );
    rows.push(rows[3].clone());
    let report = report(&[&rows]);
    assert_eq!(report.labels, None);
    assert_eq!(lines(&report, Code::Duplicate), [(0, 51)]);
    assert_eq!(lines(&report, Code::OneReply), (41..=50).map(|line| (0, line)).collect::<Vec<_>>());
}

#[test]
fn a_clean_set_has_no_findings() {
    assert_eq!(report(&[&labelled()]).findings.iter().map(|f| f.code).collect::<Vec<_>>(), []);
    assert_eq!(report(&[&labelled()]).harmful_rows, 0);
}

#[test]
fn bad_lines_are_told_with_the_rest() {
    let mut rows = labelled();
    rows[4] = "{\"messages\": [".to_owned();
    rows[7] = r#"{"messages": [{"role": "customer", "content": "hi"}]}"#.to_owned();
    let report = report(&[&rows]);
    assert_eq!(lines(&report, Code::Unreadable), [(0, 5)]);
    assert_eq!(lines(&report, Code::UnknownRole), [(0, 8)]);
    assert_eq!((report.rows, report.harmful_rows), (20, 2));
}

#[test]
fn signs_and_emoji_tell_questions_apart() {
    let mut rows = labelled();
    rows.extend(
        ["What is 3 - 4 ?", "What is 3 + 4 ?", "😡", "👿"]
            .map(|asked| chat(asked, "refund").to_string()),
    );
    let report = report(&[&rows]);
    assert_eq!(lines(&report, Code::Duplicate), []);
    assert_eq!(lines(&report, Code::Contradiction), []);
}
