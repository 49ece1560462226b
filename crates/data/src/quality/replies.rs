//! Rows whose answers are replies: one for many questions, openings that many share, and those in another style.

use std::collections::BTreeMap;

use super::excerpt::excerpt;
use super::finding::{Code, Found};
use super::near::normalized;
use super::openings;
use super::set::{Findings, Kept};
use super::style::{Style, StyleSummary};

/// Words from which a reply is one that should fit its question.
const REPLY_WORDS: usize = 6;
/// Rows from which a repeated reply is told, and their share of the training rows.
const REPEATED: usize = 10;
const REPEATED_SHARE: f64 = 0.01;
/// Replies below which a style is not spoken of.
const FEWEST_STYLES: usize = 30;
/// Robust deviations from which a reply is an outlier.
const OUTLYING: f64 = 6.0;

/// Adds what the replies show, and returns how much alike they are written, from 0 to 1.
pub(super) fn compare(rows: &[Kept], findings: &mut Findings) -> Option<f64> {
    repeated(rows, findings);
    openings::compare(rows, findings);
    styles(rows, findings)
}

fn repeated(rows: &[Kept], findings: &mut Findings) {
    let mut by_reply: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut training = 0;
    for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.is_training()) {
        training += 1;
        // A plain text has no question that it could fail to fit.
        if !row.question.is_empty() && row.answer.split_whitespace().count() >= REPLY_WORDS {
            by_reply.entry(normalized(&row.answer)).or_default().push(at);
        }
    }
    let least = REPEATED.max((REPEATED_SHARE * training as f64).ceil() as usize);
    for members in by_reply.values() {
        let mut questions: Vec<&str> = members.iter().map(|row| &*rows[*row].question).collect();
        questions.sort_unstable();
        questions.dedup();
        if questions.len() < least {
            continue;
        }
        for &row in members {
            let found = Found { place: rows[row].place, other: None, score: None };
            findings.add(Code::OneReply, rows[row].number, found, || {
                format!("{} questions: `{}`", questions.len(), excerpt(&rows[row].answer))
            });
        }
    }
}

fn styles(rows: &[Kept], findings: &mut Findings) -> Option<f64> {
    let written: Vec<(&Kept, &Style)> = rows
        .iter()
        .filter(|row| row.is_training() && !row.question.is_empty())
        .filter_map(|row| row.style.as_deref().map(|style| (row, style)))
        .collect();
    if written.len() < FEWEST_STYLES {
        return None;
    }
    let styles: Vec<Style> = written.iter().map(|(_, style)| (*style).clone()).collect();
    let summary = StyleSummary::of(&styles)?;
    let mut outliers: Vec<(&Kept, usize, f64)> = written
        .iter()
        .map(|(row, style)| {
            let (measure, deviation) = summary.outlyingness(style);
            (*row, measure, deviation)
        })
        .filter(|(.., deviation)| *deviation >= OUTLYING)
        .collect();
    outliers.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.place.cmp(&b.0.place)));
    for (row, measure, deviation) in outliers {
        let found = Found { place: row.place, other: None, score: Some(deviation) };
        findings.add(Code::StyleOutlier, row.number, found, || {
            format!("{}: `{}`", Style::MEASURES[measure], excerpt(&row.answer))
        });
    }
    Some(summary.consistency())
}
