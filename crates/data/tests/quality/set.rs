//! Small sets, and exactly what is found in them.

use serde_json::json;
use tunewise_data::quality::{Code, Finding, QualityReport};

use crate::{chat, report};

const DUTCH: &str =
    "Dank u voor uw bericht. Uw bestelling is gisteren verzonden en wordt morgen bij u \
    thuis bezorgd. Laat het ons weten als u nog vragen heeft.";

/// What was found of a code.
fn finding(report: &QualityReport, code: Code) -> Option<&Finding> {
    report.findings.iter().find(|finding| finding.code == code)
}

/// The file and the line of each of a code's rows.
fn lines(report: &QualityReport, code: Code) -> Vec<(usize, usize)> {
    let rows = finding(report, code).map_or(&[][..], |finding| &finding.rows);
    rows.iter().map(|found| (found.place.file, found.place.line)).collect()
}

/// As many questions on parcels with replies in English.
fn replies(count: usize) -> Vec<String> {
    let row = |n: usize| {
        let reply = format!(
            "Parcel {n} was sent to you by the first post of yesterday, and it will arrive at your home \
             tomorrow morning before {}.",
            n + 7
        );
        chat(&format!("Where is parcel {} now?", 10_000 + n), &reply).to_string()
    };
    (0..count).map(row).collect()
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

#[test]
fn replies_in_another_language_than_most_are_told() {
    let mut rows = replies(30);
    rows.push(chat("Waar is mijn pakket?", DUTCH).to_string());
    rows.push(chat("Where is it?", "On its way to you.").to_string());
    let report = report(&[&rows]);
    assert_eq!(report.languages, [("English".to_owned(), 30), ("Dutch".to_owned(), 1)]);
    assert_eq!(lines(&report, Code::OtherLanguage), [(0, 31)]);
    let example = &finding(&report, Code::OtherLanguage).unwrap().examples[0];
    assert!(example.starts_with("`Dutch`: `Dank u voor uw bericht."), "{example}");
}

#[test]
fn without_a_main_language_none_is_another() {
    let mut rows = replies(4);
    let german = "Vielen Dank für Ihre Nachricht. Ihre Bestellung wurde gestern verschickt und kommt morgen bei Ihnen an.";
    rows.extend([DUTCH, DUTCH, DUTCH, german, german].map(|reply| chat("Hm?", reply).to_string()));
    let report = report(&[&rows]);
    let languages = [("English", 4), ("Dutch", 3), ("German", 2)];
    assert_eq!(report.languages, languages.map(|(name, rows)| (name.to_owned(), rows)));
    assert_eq!(lines(&report, Code::OtherLanguage), []);
}

#[test]
fn the_questions_tell_the_language_where_answers_are_labels() {
    let mut rows = labelled();
    rows.extend((0..20).map(|n| chat(&format!("{DUTCH} Nummer {n}."), "refund").to_string()));
    let languages = report(&[&rows]).languages;
    assert_eq!(languages, [("Dutch".to_owned(), 20)]);
}

#[test]
fn a_split_of_other_labels_is_told_as_a_whole() {
    let rows = |counts: [usize; 3], subject: &str| -> Vec<String> {
        let row = |(label, n): (&str, usize)| {
            let number = 100_000 + n * 7919 + label.len();
            chat(&format!("{subject} of case {number}"), label).to_string()
        };
        let of = |(label, count): (&'static str, usize)| (0..count).map(move |n| (label, n));
        ["refund", "booking", "visa"].into_iter().zip(counts).flat_map(of).map(row).collect()
    };
    let train = rows([30, 30, 30], "Please tell me");
    let test = rows([30, 5, 5], "I want to know");
    let report = report(&[&train, &test]);
    let found = finding(&report, Code::Shift).unwrap();
    assert_eq!((found.count, found.rows.len()), (1, 1));
    assert_eq!(lines(&report, Code::Shift), [(1, 0)]);
    assert!((found.rows[0].score.unwrap() - 5.0 / 12.0).abs() < 1e-12);
    assert_eq!(found.examples[0], "label `refund`: 75.0 % here, 33.3 % of the training rows");
}

#[test]
fn a_split_of_longer_questions_and_other_languages_is_told() {
    let row = |n: usize| {
        let question = format!(
            "I ordered a lamp three weeks ago and nothing came, so where is parcel {} now?",
            20_000 + n
        );
        chat(&question, DUTCH).to_string()
    };
    let test: Vec<String> = (0..40).map(row).collect();
    let report = report(&[&replies(40), &test]);
    let found = finding(&report, Code::Shift).unwrap();
    assert_eq!((found.count, found.rows[0].score), (1, Some(1.0)));
    let questions = "questions have 80 characters here, 26 in training (medians)";
    let languages = "main language: 0.0 % here, 100.0 % of the training rows";
    assert_eq!((found.examples[0].as_str(), found.examples[2].as_str()), (questions, languages));
    assert_eq!(lines(&report, Code::OtherLanguage), []);
}

#[test]
fn a_split_like_the_training_rows_is_not_told() {
    let test: Vec<String> = replies(80).split_off(40);
    assert_eq!(lines(&report(&[&replies(40), &test]), Code::Shift), []);
}

#[test]
fn a_conversation_with_rows_in_two_splits_is_told() {
    let rows = |ids: &[u64], about: &str| -> Vec<String> {
        let row = |id: &u64| {
            let mut row = chat(&format!("{about} number {id}"), "We will look into it for you.");
            row["conversation_id"] = json!(id);
            row.to_string()
        };
        ids.iter().map(row).collect()
    };
    let train = rows(&[1, 2, 3, 3, 4], "my parcel has not come, it is");
    let test = rows(&[3, 9], "and what about the lamp with the");
    let leaking = report(&[&train, &test]);
    assert_eq!(lines(&leaking, Code::GroupLeak), [(1, 1)]);
    let other = finding(&leaking, Code::GroupLeak).unwrap().rows[0].other.unwrap();
    assert_eq!((other.file, other.line), (0, 3));
    // What most rows have tells none apart.
    let train = rows(&[1, 3, 3, 3, 4], "my parcel has not come, it is");
    assert_eq!(lines(&report(&[&train, &test]), Code::GroupLeak), []);
}

#[test]
fn replies_that_open_alike_are_told() {
    let row = |n: usize| {
        let reply = match n {
            0..34 => format!("Thank you for contacting us, case {n} is closed."),
            _ => format!("Case {n} was closed some days ago."),
        };
        chat(&format!("What about case {n}?"), &reply).to_string()
    };
    let rows: Vec<String> = (0..100).map(row).collect();
    let report = report(&[&rows]);
    let expected: Vec<(usize, usize)> = (1..=34).map(|line| (0, line)).collect();
    assert_eq!(lines(&report, Code::SameOpening), expected);
    let examples = &finding(&report, Code::SameOpening).unwrap().examples;
    assert_eq!(*examples, ["`thank you for contacting`: 34 % of the replies"]);
}

#[test]
fn a_near_leak_far_from_the_first_rows_of_a_large_group_is_told() {
    // Each question begins one word later than the one before, so that all hang together.
    let question = |first: usize| {
        let words: Vec<String> = (first..first + 20).map(|word| format!("w{word:03}x")).collect();
        words.join(" ")
    };
    let row = |n: usize| {
        chat(&question(n), &format!("That is answer {n} of all the answers.")).to_string()
    };
    let train: Vec<String> = (0..200).map(row).collect();
    let near = chat(&format!("{} ok", question(150)), "That is what we all say to it.");
    let report = report(&[&train, &[near.to_string()]]);
    assert_eq!(lines(&report, Code::NearLeak), [(1, 1)]);
    let other = finding(&report, Code::NearLeak).unwrap().rows[0].other.unwrap();
    assert!((149..=153).contains(&other.line), "{}", other.line);
}
